"""What a worker compares with the driver before it computes."""

import fewshot
from fewshot.identity import PACKAGE_FOLDERS
from fewshot.trials import worker


def test_the_code_of_all_three_packages_counts(tmp_path, monkeypatch):
    assert [folder.name for folder in PACKAGE_FOLDERS] == ["fewshot", "gan", "experiments"]
    assert all((folder / "__init__.py").is_file() for folder in PACKAGE_FOLDERS)
    copies = tuple(tmp_path / folder.name for folder in PACKAGE_FOLDERS)
    for folder in copies:
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "code.py").write_text("x = 1")

    def version():
        worker._code_version.cache_clear()
        return worker._code_version(copies)

    versions = [version()]
    assert versions[0].startswith(f"{fewshot.__version__} (code ")
    for folder in copies:
        (folder / "inner" / "code.py").write_text("x = 2")
        versions.append(version())
    (copies[1] / "inner" / "code.py").rename(copies[1] / "inner" / "moved.py")
    versions.append(version())
    assert len(set(versions)) == 5
    worker._code_version.cache_clear()
