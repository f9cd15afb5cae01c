"""What pyproject.toml cannot say: the bundles lie in engines/ in the repository, and in drive_seg/engines in a wheel."""

import shutil
from pathlib import Path

from setuptools import Command, setup
from setuptools.command.build import build


class BuildBundles(Command):
    """Copies every bundle into the package (a setuptools.command.build.SubCommand). An editable install finds them where they are."""

    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib = None  # the next one sets what is None

    def finalize_options(self) -> None:
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        shutil.rmtree(Path(self.build_lib, "drive_seg", "engines"), ignore_errors=True)  # an earlier build may have left other bundles
        for target, source in self.get_output_mapping().items():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target)

    def get_source_files(self) -> list[str]:
        bundles = [card.parent for card in sorted(Path("engines").glob("*/card.json"))]
        return [str(path) for bundle in bundles for path in sorted(bundle.iterdir()) if path.is_file()]

    def get_output_mapping(self) -> dict[str, str]:
        return {} if self.editable_mode else {str(Path(self.build_lib, "drive_seg", path)): path for path in self.get_source_files()}

    def get_outputs(self) -> list[str]:
        return list(self.get_output_mapping())


build.sub_commands.append(("build_bundles", None))
setup(cmdclass={"build_bundles": BuildBundles})
