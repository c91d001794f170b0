"""Time to parse hostile replies of 20,000 and of 200,000 repeats: the ratio should be near 10."""

import time

from rs_gpt4v.box_codecs import CODECS

HOSTILE = {
    "open brackets": "[",
    "dotted digits": "0.",
    "nested JSON": '{"bbox_2d": [[1, ',
    "one long number": "9",
    "long fraction": "0",
    "signs": "-",
    "ranges": "1 - ",
    "exponents": "1e",
    "names": "x ",
    "names with numbers": "x1 = 1 ",
    "labels never closed": '"label": "',
    "backslashes": '"label": "\\',
    "spaces": " ",
    "lines": "\n ",
    "tags cut off": "<a",
    "points": "(1, 2), ",
    "boxes": "[1, 2, 3, 4] ",
    "thousands": "1,000,",
    "words": "ship ",
    "one word": "a",
    "accents": "\u0301\u0323",
    "no numbers": "nan, ",
    "pairs": "[1, 2], ",
    "markers": "1 ",
}


def seconds(text: str) -> float:
    """The better of two."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        CODECS["norm1000"].parse(text, 800, 600)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print a table: milliseconds for both lengths, and their ratio."""
    print(f"{'repeated':22}{'20,000':>10}{'200,000':>10}{'ratio':>8}")
    for name, part in HOSTILE.items():
        short, long = (seconds("0." * (part == "0") + part * n) for n in (20_000, 200_000))
        print(f"{name:22}{short * 1e3:8.1f} ms{long * 1e3:8.1f} ms{long / short:8.1f}")


if __name__ == "__main__":
    main()
