"""Certificates for the end-to-end tests, made by the program openssl."""
import pathlib
import subprocess


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, text=True)


class Authority:
    """Issues certificates into a folder; `certificate` is its own."""

    def __init__(self, folder, name="authority"):
        self.folder = pathlib.Path(folder)
        self.certificate, self.key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2,
                 "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, subject_names="DNS:localhost,IP:127.0.0.1"):
        """(certificate file, key file) of `name`."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        _openssl("req", "-x509", "-CA", self.certificate, "-CAkey", self.key, "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-subj", f"/CN={name}", "-addext",
                 f"subjectAltName={subject_names}", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", key,
                 "-out", certificate)
        return certificate, key
