"""`init` and `check`: a file that is fine, and every fault of one that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from megawatch.site.folder import open_site
from testing.megawatch.asking import asking

FAULTY = """
[site]
name = "hall one"
timezon = "UTC"

[[broker]]
url = "http://127.0.0.1"
password_file = "secrets/none"

[[tenant]]
id = "acme"
holds = [{ racks = "A-*", from = 2026-01-01 }]
[[tenant.contract]]
committed_mw = -1

[rules.C22]
on_delay_s = 1
"""


def test_what_init_writes_passes_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new site file is fine as it is, by its folder and by its path."""
    with asking(capsys) as ask:
        made = ask("init", tmp_path / "site")
        by_folder = ask("check", tmp_path / "site")
        by_path = ask("check", tmp_path / "site" / "site.toml", "--json")

    assert (made.status, by_folder.status, by_path.status) == (0, 0, 0)
    assert "next: megawatch check" in made.out
    assert "fine; 24 racks, 2 tenants" in by_folder.out
    assert by_path.document == {"is_fine": True, "faults": [], "warnings": [], "live": []}


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A site file that is there stays as it is."""
    (tmp_path / "site.toml").write_text("mine")
    with asking(capsys) as ask:
        answer = ask("init", tmp_path)

    assert answer.status == 1
    assert "it is left as it is" in answer.err
    assert (tmp_path / "site.toml").read_text() == "mine"


def test_check_tells_all_faults_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its place, what was expected, what was found, and the nearest known name."""
    (tmp_path / "site.toml").write_text(FAULTY)
    with asking(capsys) as ask:
        told = ask("check", tmp_path)
        shown = ask("check", tmp_path, "--json")

    faults = {fault["path"]: fault for fault in shown.document["faults"]}
    assert (told.status, shown.status, shown.document["is_fine"]) == (1, 1, False)
    assert {"site.name", "site.timezon", "broker[0].url"} <= set(faults)
    assert {"tenant[0].contract[0].from", "tenant[0].contract[0].committed_mw"} <= set(faults)
    assert faults["site.timezon"]["hint"] == "did you mean 'timezone'?"
    assert faults["site.name"]["found"] == "'hall one'"
    assert "letters, digits" in faults["site.name"]["expected"]
    assert f"{len(faults)} faults" in told.out
    assert all(path in told.out for path in faults)


def test_check_finds_what_only_other_files_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A secret that is not there, certificates that are none, a password in an address, a rule unknown."""
    (tmp_path / "ca.pem").write_text("no certificate")
    (tmp_path / "site.toml").write_text(
        '[site]\nname = "x"\n[[broker]]\nurl = "mqtts://me:geheim@host"\nca_file = "ca.pem"\n'
        'username = "me"\npassword_file = "secrets/none"\n[rules.C22]\non_delay_s = 1\n'
    )
    with asking(capsys) as ask:
        answer = ask("check", tmp_path, "--json")

    faults = {fault["path"]: fault for fault in answer.document["faults"]}
    assert set(faults) == {"broker[0].url", "broker[0].ca_file", "broker[0].password_file", "rules.C22"}
    assert faults["broker[0].password_file"]["found"] == "'secrets/none': No such file or directory"
    assert "did you mean 'C2'?" in faults["rules.C22"]["hint"]
    assert "geheim" not in answer.out


def test_an_empty_file_of_certificates_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It must not be taken for the system's own authorities."""
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "site.toml").write_text(
        '[site]\nname = "x"\n[[broker]]\nurl = "mqtts://host"\nca_file = "ca.pem"\n'
    )
    with asking(capsys) as ask:
        answer = ask("check", tmp_path, "--json")

    assert [fault["path"] for fault in answer.document["faults"]] == ["broker[0].ca_file"]


def test_live_tells_what_can_not_be_reached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The broker, the database and the pagers are each tried, and each is named."""
    (tmp_path / "token").write_text("t")
    (tmp_path / "site.toml").write_text(
        '[site]\nname = "x"\n[[broker]]\nurl = "mqtt://127.0.0.1:1"\n'
        '[store]\ninfluxdb = { url = "http://127.0.0.1:1", org = "o", token_file = "token" }\n'
        '[[route]]\nto = { webhook = "http://127.0.0.1:1/pages" }\n'
    )
    with asking(capsys) as ask:
        told = ask("check", tmp_path, "--live")
        shown = ask("check", tmp_path, "--live", "--json")
        plain = ask("check", tmp_path)

    assert (told.status, shown.status, plain.status) == (1, 1, 0)
    assert told.out.count("NOT REACHED") == 3
    assert [item["ok"] for item in shown.document["live"]] == [False] * 3
    assert "connection refused" in json.dumps(shown.document["live"])


def test_a_data_folder_that_can_never_be_written_is_a_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beneath a file, or in its place, nothing can be stored; a folder that is not there yet is fine."""
    (tmp_path / "taken").write_text("")
    with asking(capsys) as ask:
        answers = {}
        for data_dir in ("taken", "taken/data", "new/data"):
            (tmp_path / "site.toml").write_text(f'[site]\nname = "x"\n[store]\ndata_dir = "{data_dir}"\n')
            answers[data_dir] = ask("check", tmp_path, "--json")

    assert [answer.status for answer in answers.values()] == [1, 1, 0]
    (fault,) = answers["taken/data"].document["faults"]
    assert (fault["path"], fault["expected"]) == ("store.data_dir", "a folder that can be written")
    assert fault["found"].endswith("taken is a file")
    assert not (tmp_path / "new").exists()


def test_check_warns_of_what_nothing_is_judged_by(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that can be used as it is, with a contract of a far year and a meter that nobody described."""
    (tmp_path / "site.toml").write_text(
        '[site]\nname = "x"\n[[tenant]]\nid = "acme"\n[[tenant.contract]]\nfrom = 9000-01-01\n'
        'committed_mw = 1\nboundary = "named_meters"\nmeters = ["NOPE"]\n'
    )
    with asking(capsys) as ask:
        shown = ask("check", tmp_path, "--json")
        told = ask("check", tmp_path)

    assert (shown.status, shown.document["is_fine"]) == (0, True)
    paths = [warning.partition(": ")[0] for warning in shown.document["warnings"]]
    assert paths == ["tenant[0].contract[0].from", "tenant[0].contract[0].meters[0]"]
    assert told.out.count("worth a look: tenant[0].contract[0]") == 2


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Editors of some systems put one before a site file and before a password."""
    mark = b"\xef\xbb\xbf"
    (tmp_path / "password").write_bytes(mark + b"geheim\r\n")
    (tmp_path / "site.toml").write_bytes(
        mark + b'[site]\nname = "x"\n[[broker]]\nurl = "mqtt://host"\nusername = "me"\n'
        b'password_file = "password"\n'
    )
    with asking(capsys) as ask:
        answer = ask("check", tmp_path)
    folder = open_site(tmp_path)

    assert answer.status == 0, answer.out
    assert folder.secrets == folder.secrets_now() == {"password": "geheim"}
