"""Makes ``datasets.load_dataset("rs_gpt4v", ...)`` work once `datasets` is imported.

``import rs_gpt4v`` imports this, and so does Python at its start where the package is installed, as
rs_gpt4v.pth says: then nobody has to write that import. It imports nothing itself. To do without
it, delete rs_gpt4v.pth.
"""

import sys


class _AfterDatasets:
    """Finds `datasets` as all others do, and has the name registered once it is imported."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        """Called by Python for each module that is not imported yet."""
        if name != "datasets":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: object) -> None:
        run = loader.exec_module

        def exec_module(module: object) -> None:
            run(module)
            if module.__name__ == "datasets" and self in sys.meta_path:
                sys.meta_path.remove(self)
                try:
                    from rs_gpt4v.registration import register
                except ImportError:  # half removed: `datasets` works nevertheless
                    return
                register()

        loader.exec_module = exec_module


if "datasets" not in sys.modules:
    sys.meta_path.insert(0, _AfterDatasets())
