#!/usr/bin/env python3
"""Prints goldens.h: small encoded images with the pixels that Pillow decodes, and Pillow's resizes.

Run once with Debian 12's python3-pil; the numbers are committed so that the tests need no Python:
    /usr/bin/python3 make_goldens.py > goldens.h && clang-format -i goldens.h
"""
import io
import struct
import zlib

from PIL import Image

WIDTH, HEIGHT = 9, 7


def noise(count, seed):
    values = []
    for _ in range(count):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        values.append(seed >> 16 & 255)
    return bytes(values)


def rgb_image(width, height, seed):
    return Image.frombytes("RGB", (width, height), noise(width * height * 3, seed))


def smooth_image():
    return rgb_image(3, 3, 5).resize((WIDTH, HEIGHT), Image.BICUBIC)


def encode(image, **options):
    stream = io.BytesIO()
    image.save(stream, **options)
    return stream.getvalue()


def png16():
    """16 bits a channel, which Pillow cannot write: high bytes from the noise, low bytes 0x7f."""
    high = noise(WIDTH * HEIGHT * 3, 9)
    raw = b""
    for y in range(HEIGHT):
        row = high[y * WIDTH * 3:(y + 1) * WIDTH * 3]
        raw += b"\0" + b"".join(bytes([v, 0x7F]) for v in row)

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
    png = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
           chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))
    return png, high


def turned_jpeg():
    """EXIF says "rotate by 90 degrees", and carries a thumbnail with an end-of-image marker."""
    image = smooth_image()
    exif = image.getexif()
    exif[0x0112] = 6
    exif[0x010E] = b"\xff\xd8\xff\xd9"
    return encode(image, format="JPEG", quality=90, exif=exif.tobytes())


def emit(name, data):
    values = ", ".join(map(str, data))
    print(f"inline const std::vector<uint8_t> {name} = {{{values}}};")


def emit_image(name, encoded, pixels=None):
    emit(f"k{name}", encoded)
    if pixels is None:
        pixels = Image.open(io.BytesIO(encoded)).convert("RGB").tobytes()
    emit(f"k{name}Pixels", pixels)


def main():
    print("// Made by make_goldens.py with Pillow; not edited by hand.\n#pragma once\n")
    print("#include <cstdint>\n#include <vector>\n\nnamespace haq::data::goldens {\n")
    print(f"inline constexpr int kWidth = {WIDTH}, kHeight = {HEIGHT};\n")
    smooth = smooth_image()
    emit_image("Jpeg", encode(smooth, format="JPEG", quality=90))
    emit_image("ProgressiveJpeg", encode(smooth, format="JPEG", quality=60, progressive=True))
    emit_image("GrayJpeg", encode(smooth.convert("L"), format="JPEG", quality=90))
    emit_image("TurnedJpeg", turned_jpeg())
    emit_image("Png", encode(rgb_image(WIDTH, HEIGHT, 1), format="PNG"))
    emit_image("GrayPng", encode(smooth.convert("L"), format="PNG"))
    palette = smooth.quantize(8)
    emit_image("PalettePng", encode(palette, format="PNG"))
    rgba = rgb_image(WIDTH, HEIGHT, 2)
    rgba.putalpha(Image.frombytes("L", (WIDTH, HEIGHT), noise(WIDTH * HEIGHT, 3)))
    emit_image("RgbaPng", encode(rgba, format="PNG"), rgba.convert("RGB").tobytes())
    emit_image("Png16", *png16())
    print()
    source = rgb_image(13, 11, 77)
    emit("kSource13x11", source.tobytes())
    for name, kind in (("Bilinear", Image.BILINEAR), ("Bicubic", Image.BICUBIC)):
        for width, height in ((5, 4), (13, 3), (4, 11), (17, 20), (1, 1)):
            emit(f"k{name}{width}x{height}", source.resize((width, height), kind).tobytes())
    emit("kLuma13x11", source.convert("L").tobytes())
    print("\n}  // namespace haq::data::goldens")


main()
