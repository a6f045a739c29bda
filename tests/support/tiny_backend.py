"""A build backend (PEP 517, PEP 660) for a project with one empty module; needs no network."""

import zipfile
from pathlib import Path

WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build_editable(
    folder: str, config_settings: object = None, metadata_directory: object = None
) -> str:
    """Write the wheel of the project `tiny` for pip and return its name."""
    return write_wheel(Path(folder), "tiny", "1")


def write_wheel(folder: Path, name: str, version: str) -> str:
    """Write a wheel that holds one empty module and return its file name."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nProvides-Extra: all\n"
    files = {f"{name}.py": "", f"{info}/METADATA": metadata, f"{info}/WHEEL": WHEEL}
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in files)
    file_name = f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(folder / file_name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return file_name
