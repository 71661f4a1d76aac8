"""What a backup copies, and what of it belongs to a moment."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.backup import cassandra, files, folder, postgres
from infra.backup.files import Removed, Stored
from infra.backup.folder import BackupFailed, Generation

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def _stored(key: str, minute: int, content: str = "a") -> Stored:
    at = NOON + timedelta(minutes=minute)
    return Stored(at=at, key=key, etag=content, sha256=content, media_type="image/jpeg", metadata={})


def _removed(key: str, minute: int) -> Removed:
    return Removed(at=NOON + timedelta(minutes=minute), key=key)


def _generation(tmp_path: Path) -> Generation:
    generation = Generation(tmp_path / "backup" / "20261126T120000Z")
    generation.path.mkdir(parents=True)
    generation.create_folders()
    return generation


def _table(tmp_path: Path, *names: str) -> Path:
    table = tmp_path / "data" / "keyspace" / "table-1"
    table.mkdir(parents=True, exist_ok=True)
    for name in names:
        (table / name).write_text(name)
    return table


def _copied(tmp_path: Path) -> list[str]:
    cassandra.copy_tables(tmp_path / "data", tmp_path / "linked", tmp_path / "copy")
    assert not (tmp_path / "linked").exists()
    return sorted(path.name for path in (tmp_path / "copy" / "keyspace" / "table-1").iterdir())


@pytest.mark.parametrize(
    ("minute", "present"),
    [(0, {}), (1, {"x": "a"}), (2, {"x": "a", "y": "a"}), (3, {"x": "b", "y": "a"}), (9, {"x": "b"})],
)
def test_the_versions_of_objects_at_a_moment(minute: int, present: dict[str, str]) -> None:
    entries: list[Stored | Removed] = [_stored("x", 1), _stored("y", 2), _stored("x", 3, "b"), _removed("y", 5)]
    found = files.present_at(entries, NOON + timedelta(minutes=minute))

    assert {key: entry.sha256 for key, entry in found.items()} == present


def test_a_journal_keeps_what_later_moments_need(tmp_path: Path) -> None:
    generation = _generation(tmp_path)
    entries: list[Stored | Removed] = [_stored("x", 1, "old"), _stored("y", 1), _stored("x", 2, "new")]
    entries += [_removed("y", 3), _removed("x", 9)]
    generation.journal.write_bytes(b"".join(files.encode(entry) for entry in entries) + b'{"type": "sto')
    files.forget_before(generation, NOON + timedelta(minutes=5))

    assert files.used_contents(generation.journal) == {"new"}
    assert [each.key for each in files.read_present(generation, NOON + timedelta(minutes=6))] == ["x"]
    assert files.read_present(generation, NOON + timedelta(minutes=10)) == []


def test_a_copy_of_tables_leaves_out_what_a_flush_is_writing(tmp_path: Path) -> None:
    table = _table(tmp_path, "nb-1-big-Data.db", "nb-1-big-TOC.txt", "nb-10-big-Data.db", "nb-2-big-Data.db")
    (table / "nb_txn_flush_8a1f.log").write_text(f"ADD:[{table}/nb-2-big-,0,8][1]\n")

    assert _copied(tmp_path) == ["nb-1-big-Data.db", "nb-1-big-TOC.txt", "nb-10-big-Data.db"]


def test_a_copy_of_tables_waits_for_the_end_of_a_compaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = _table(tmp_path, "nb-1-big-Data.db", "nb-2-big-Data.db")
    log = table / "nb_txn_compaction_8a1f.log"
    log.write_text(f"ADD:[{table}/nb-2-big-,0,8][1]\nREMOVE:[{table}/nb-1-big-,1,8][2]\nCOMMIT:[,0,0][3]\n")

    def finish(_seconds: float) -> None:
        (table / "nb-1-big-Data.db").unlink()
        log.unlink()

    monkeypatch.setattr("infra.backup.cassandra.time.sleep", finish)
    assert _copied(tmp_path) == ["nb-2-big-Data.db"]


def test_segments_are_copied_until_cassandra_has_archived_them(tmp_path: Path) -> None:
    generation, commit_log = _generation(tmp_path), tmp_path / "commitlog"
    commit_log.mkdir()
    segment = commit_log / "CommitLog-7-1.log"
    for text in ("one", "one, two"):
        segment.write_text(text)
        cassandra.copy_segments(commit_log, generation)
        assert (generation.live_commit_log / segment.name).read_text() == text

    (generation.commit_log / segment.name).write_text("full")
    segment.unlink()
    cassandra.copy_segments(commit_log, generation)
    assert cassandra.segment_names(generation.live_commit_log) == []


def test_a_partial_segment_of_the_wal_counts_until_it_is_full(tmp_path: Path) -> None:
    names = ("000000010000000000000001", "000000010000000000000001.partial", "000000010000000000000002.partial")
    for name in (*names, "00000002.history", "x.tmp"):
        (tmp_path / name).touch()

    assert {name: path.name for name, path in postgres.segments(tmp_path).items()} == {
        "000000010000000000000001": names[0],
        "000000010000000000000002": names[2],
        "00000002.history": "00000002.history",
    }


def test_two_threads_may_write_the_same_content(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: folder.write(tmp_path / "content", b"same"), range(200)))

    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"same"]


@pytest.mark.parametrize("text", ["2026-11-26T12:00:00Z", "2026-11-26 12:00", "2026-11-26T13:00:00+01:00"])
def test_a_moment_has_a_zone_or_is_in_utc(text: str) -> None:
    assert folder.parse_moment(text) == NOON
    assert folder.parse_moment(folder.describe(NOON)) == NOON


def test_a_text_that_is_no_moment_is_refused() -> None:
    with pytest.raises(BackupFailed, match="noon"):
        folder.parse_moment("noon")
