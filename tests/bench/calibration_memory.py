#!/usr/bin/python3
"""Peak memory of `haq-worker quantize` with few and with many calibration images, and their ratio.

  calibration_memory.py --few 500 --many 5000 -- net.pt --input-shape 3,32,32 --calibration DIR --evaluation DIR
"""
import argparse
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def peak_bytes(command):
    """Of the largest process; exits when the command fails."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            output.seek(0)
            sys.exit(f"{' '.join(command)}\n{output.read().decode(errors='replace')[-2000:]}")
    return usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=500, metavar="N", help="default 500")
    parser.add_argument("--many", type=int, default=5000, metavar="N", help="default 5000")
    parser.add_argument("--worker", default=os.path.join(ROOT, "build", "release", "bin", "haq-worker"),
                        metavar="FILE", help="default: %(default)s")
    parser.add_argument("arguments", nargs="+", help="of `haq-worker quantize`")
    options = parser.parse_args()
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (options.few, options.many):
            peaks[count] = peak_bytes([options.worker, "quantize", *options.arguments, "--limit-calibration",
                                       str(count), "--output", os.path.join(folder, f"{count}.haq")])
            print(f"{count} calibration images: {peaks[count] / 2**20:.1f} MiB")
    print(f"ratio {peaks[options.many] / peaks[options.few]:.3f}")


if __name__ == "__main__":
    main()
