"""One package, `ir_replications`, out of folders that stand side by side in the repository."""

from setuptools import find_packages, setup

NAME = "ir_replications"
HOME = {NAME: "replications", f"{NAME}.shared": "shared", f"{NAME}.reports": "reports"}
WITHOUT_TESTS = ("tests", "*.tests", "*.tests.*")

setup(
    package_dir=HOME,
    packages=[
        name
        for package, folder in HOME.items()
        for name in (
            package,
            *(f"{package}.{part}" for part in find_packages(folder, exclude=WITHOUT_TESTS)),
        )
    ],
)
