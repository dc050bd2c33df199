"""What an installation is called, from its first start on."""

from __future__ import annotations

from pathlib import Path

import pytest

from megawatch.site.installation import FILE, client_id_of


def test_two_installations_of_one_site_have_names_of_their_own(tmp_path: Path) -> None:
    """And each keeps its own over restarts."""
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    first = [client_id_of(folder, "hall", is_new=True) for folder in folders]

    assert first[0] != first[1]
    assert all(name.startswith("megawatch-hall-") for name in first)
    assert [client_id_of(folder, "hall", is_new=False) for folder in folders] == first


def test_an_older_installation_keeps_the_name_under_which_brokers_know_it(tmp_path: Path) -> None:
    """Its session, and what is kept in it, has that name; it stays so when the site is called otherwise."""
    assert client_id_of(tmp_path, "hall", is_new=False) == "megawatch-hall"
    assert client_id_of(tmp_path, "hall-2", is_new=False) == "megawatch-hall"
    assert (tmp_path / FILE).read_text() == "megawatch-hall\n"


def test_a_data_folder_that_takes_no_file_is_an_error(tmp_path: Path) -> None:
    """A name that is not kept would be another at the next start."""
    with pytest.raises(OSError, match="No such file"):
        client_id_of(tmp_path / "nowhere", "hall", is_new=True)
