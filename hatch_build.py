"""Puts rs_gpt4v.pth into editable installs too; "force-include" is for other wheels only."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StartupHook(BuildHookInterface):
    """Called by hatchling when it builds a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file to an editable wheel, which finds rs_gpt4v_startup.py in the repository."""
        if version == "editable":
            build_data["force_include_editable"]["rs_gpt4v.pth"] = "rs_gpt4v.pth"
