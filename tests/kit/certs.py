"""Certificates for tests, by openssl: an authority, and what it signs."""

import os
import subprocess


def openssl(*args, folder):
    done = subprocess.run(["openssl", *map(str, args)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"openssl {' '.join(map(str, args))}: {done.stderr}"


class Authority:
    """Signs certificates into a folder of its own: NAME.crt and NAME.key."""

    def __init__(self, folder, name="ca"):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder)
        self.path = self.file("ca.crt")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj", f"/CN={name}",
                "-keyout", "ca.key", "-out", "ca.crt", folder=self.folder)
        with open(self.file("ca.conf"), "w", encoding="utf-8") as file:
            file.write("[ca]\ndefault_ca=it\n[it]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n"
                       "policy=any\ncopy_extensions=copy\nunique_subject=no\n[any]\ncommonName=supplied\n")
        with open(self.file("index"), "w", encoding="utf-8"):
            pass
        with open(self.file("serial"), "w", encoding="utf-8") as file:
            file.write("01\n")

    def file(self, name):
        return os.path.join(self.folder, name)

    def sign(self, name, hosts="DNS:localhost,IP:127.0.0.1", begin="20200101000000Z", end="20490101000000Z"):
        """Returns the paths of the certificate and its key."""
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-addext", f"subjectAltName={hosts}", "-keyout", f"{name}.key", "-out", f"{name}.csr", folder=self.folder)
        openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-cert", "ca.crt", "-keyfile", "ca.key", "-startdate", begin,
                "-enddate", end, "-in", f"{name}.csr", "-out", f"{name}.crt", folder=self.folder)
        return self.file(f"{name}.crt"), self.file(f"{name}.key")
