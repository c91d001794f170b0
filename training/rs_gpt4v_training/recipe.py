"""The shipped recipes: YAML files for `rs_gpt4v_training.sft`."""

from pathlib import Path

_PACKAGE = Path(__file__).parent
# A wheel carries them inside the package, a checkout beside it.
_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parent / "recipes")


def recipe_path(recipe: str) -> Path:
    """The file ``recipe``, or the shipped recipe of that name.

    Raises:
        FileNotFoundError: It is neither; the message lists the shipped names.
    """
    candidates = [Path(recipe), *(folder / f"{recipe}.yaml" for folder in _FOLDERS)]
    for path in candidates:
        if path.is_file():
            return path
    names = sorted(path.stem for folder in _FOLDERS for path in folder.glob("*.yaml"))
    raise FileNotFoundError(f"No recipe {recipe!r}: give a YAML file or one of {', '.join(names)}")
