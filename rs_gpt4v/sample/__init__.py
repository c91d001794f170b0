"""The embedded sample: synthetic scenes of known content, laid out as the real releases are.

Nothing in it is real data. It lets every step run where no release is at hand, through the code
that reads the releases themselves.
"""

from pathlib import Path

from rs_gpt4v.sample import releases


def write_sample(root: Path, seed: int = 0, *, scale: float = 1.0) -> None:
    """Write ``UCM_captions``, ``RSICD_optimal``, ``RSVQA_LR`` and ``RSVQA_HR`` into ``root``.

    Args:
        root: The folder to fill; created where it does not exist.
        seed: The same seed gives the same bytes.
        scale: The share of the sample's 710 images to make; every split keeps at least one.
    """
    for write in (releases.ucm_captions, releases.rsicd, releases.rsvqa_lr, releases.rsvqa_hr):
        write(root, seed, scale)
