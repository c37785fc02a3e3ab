"""Tell whether an audio file is whole, from the bytes of its container.

libsndfile reads what is there of a truncated WAV, AIFF, AU, W64 or Ogg file and says nothing.
"""

from pathlib import Path
from typing import BinaryIO

from dslite.errors import AudioError

_LARGEST_OGG_PAGE = 65_307  # RFC 3533, section 6
_OGG_HEADER, _OGG_LAST = 27, 4  # bytes before the segment table; the flag of a stream's last page
_RIFF_HEAD, _RIFF_CHUNK_HEAD = 12, 8
_STREAMED_FROM, _STREAMED_TO = 0x7FFFF000 - 4096, 0x7FFFFFFF
"""The data size SoX and others write into a pipe, rounded down to whole frames; more write 0 or 0xFFFFFFFF."""
_OPEN_END = 0xFFFFFFFF


def check_whole(path: Path) -> None:
    """Raise `AudioError` where a file has fewer bytes than its container says, or an Ogg file lacks its last page.

    FLAC, MP3 and CAF are not looked at here: libsndfile tells of those itself how many samples there should be.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(4) == b"OggS":
            file.seek(max(0, size - _LARGEST_OGG_PAGE))
            _check_last_page(path, file.read())
            return
        file.seek(0)
        announced = _announced_bytes(file)
    if announced > size:
        raise AudioError(
            f"{path}: truncated: its header announces {announced} bytes, it has {size}: copy or download it again"
        )


def _announced_bytes(file: BinaryIO) -> int:
    """Give how many bytes the header promises at least; 0 where it does not say."""
    head = file.read(28)
    magic = head[:4]
    if magic == b"RIFF":
        return _riff_bytes(file)
    if magic == b"FORM":  # AIFF
        return 8 + int.from_bytes(head[4:8], "big")
    if magic == b"RF64":
        return 8 + int.from_bytes(head[20:28], "little")
    if magic == b"riff":  # W64
        return int.from_bytes(head[16:24], "little")
    if magic == b".snd":  # AU
        data = int.from_bytes(head[8:12], "big")
        return 0 if data == _OPEN_END else int.from_bytes(head[4:8], "big") + data
    return 0


def _riff_bytes(file: BinaryIO) -> int:
    position = _RIFF_HEAD
    file.seek(position)
    while len(head := file.read(_RIFF_CHUNK_HEAD)) == _RIFF_CHUNK_HEAD:
        size = int.from_bytes(head[4:], "little")
        position += _RIFF_CHUNK_HEAD + size
        if head[:4] == b"data":
            streamed = size in (0, _OPEN_END) or _STREAMED_FROM <= size <= _STREAMED_TO
            return 0 if streamed else position
        position += size % 2
        file.seek(position)
    return 0


def _check_last_page(path: Path, tail: bytes) -> None:
    page = tail[max(0, tail.rfind(b"OggS")) :]
    n_segments = page[_OGG_HEADER - 1] if len(page) >= _OGG_HEADER else 0
    needed = _OGG_HEADER + n_segments + sum(page[_OGG_HEADER : _OGG_HEADER + n_segments])
    if len(page) < needed or not page[5] & _OGG_LAST:
        raise AudioError(f"{path}: truncated: the last page of its Ogg stream is missing: copy or download it again")
