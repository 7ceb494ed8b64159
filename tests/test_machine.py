"""The machine in words: what it can do, and nothing that finds it."""

import getpass
import os
import platform
import re
import socket
from pathlib import Path

import machine
import pytest


def test_words_say_cores_memory_and_system():
    words = re.fullmatch(r"(\d+) cores?, (.+), (\d+) GB of memory, (\w+)", machine.in_words())
    assert int(words[1]) == os.cpu_count() and words[4] == platform.system()
    assert words[2].startswith(platform.machine())
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert abs(int(words[3]) * 1e9 - pages) < 1e9


def test_words_name_neither_host_nor_user():
    assert not {socket.gethostname(), getpass.getuser()} & set(re.split(r"[\s,()]+", machine.in_words()))


@pytest.mark.parametrize("error", [ValueError, OSError, AttributeError])
def test_what_a_system_does_not_tell_is_left_out(monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(os, "sysconf", refuse)
    assert machine.memory() == "" and machine.in_words().endswith(f", {platform.system()}")


def test_processor_without_a_list_of_them(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError))
    assert machine.processor() == platform.processor()
