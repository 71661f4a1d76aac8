"""The log of a function, of several files."""

import os
import threading

from infra.follow import in_order


def _line(at: str, function: str = "like_post") -> str:
    return f'{{"timestamp":"2026-11-27T10:00:{at}Z","function":"{function}"}}'


def _followed(*written: str) -> list[str]:
    reading, writing = os.pipe()
    for part in written:
        os.write(writing, part.encode())
    os.close(writing)
    try:
        return list(in_order(reading, '"function":"like_post"'))
    finally:
        os.close(reading)


def test_lines_of_several_files_are_in_the_order_of_their_times() -> None:
    first_file, second_file = [_line("01.000"), _line("03.000")], [_line("02.000"), _line("04.000")]

    assert _followed("".join(f"{line}\n" for line in first_file + second_file)) == sorted(first_file + second_file)


def test_only_lines_of_the_function_are_followed() -> None:
    assert _followed(f"{_line('01.000', 'unlike_post')}\n{_line('02.000')}\n") == [_line("02.000")]


def test_a_line_that_arrives_in_parts_is_whole() -> None:
    assert _followed(_line("01.000")[:20], _line("01.000")[20:] + "\n") == [_line("01.000")]


def test_lines_appear_while_others_are_awaited() -> None:
    reading, writing = os.pipe()
    os.write(writing, f"{_line('01.000')}\n".encode())
    lines = in_order(reading, "like_post")

    assert next(lines) == _line("01.000")
    threading.Timer(0.1, os.write, [writing, f"{_line('02.000')}\n".encode()]).start()
    assert next(lines) == _line("02.000")
    os.close(writing)
    assert list(lines) == []
    os.close(reading)
