#!/usr/bin/env bash
# Makes a root file system of Debian's packages, for where no base image can be had. Needs root and mmdebstrap; asks the mirrors
# that this machine's apt asks. The same packages give the same bytes.
# usage: debian.sh base|slim TARBALL     base: Python with pip, to build in; slim: Python alone, without shell and package manager
set -euo pipefail
what=$1 tarball=$2
export SOURCE_DATE_EPOCH=315532800
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
sources=/etc/apt/sources.list.d/debian.sources
[ -f "$sources" ] || sources=/etc/apt/sources.list
settings=()
for file in /etc/apt/apt.conf.d/9*; do [ ! -f "$file" ] || settings+=("--aptopt=$file"); done
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
root=$work/root
bootstrap() { mmdebstrap --quiet --mode=root "${settings[@]}" "$@" "$suite" "$root" "$sources"; }

base() {
  bootstrap --variant=minbase --include=python3.11-minimal,python3.11-venv,ca-certificates,netbase
  cd "$root"
  rm -rf etc/resolv.conf etc/hostname var/lib/apt/lists/* var/cache/* var/log/* usr/share/{man,locale} # a resolv.conf here would hide the build's own
}

slim() {
  bootstrap --variant=extract --include=python3.11-minimal,libpython3.11-stdlib,libstdc++6,netbase,ca-certificates
  cd "$root"
  cat usr/share/ca-certificates/mozilla/*.crt >"$work/ca.crt"
  # of /usr, Python, its libraries and the licences stay; of /etc, the names of protocols
  find usr/share -mindepth 1 -maxdepth 1 ! -name doc ! -name zoneinfo -exec rm -rf {} +
  find usr/share/doc -type f ! -name copyright -delete
  find usr/share/doc -type l -delete
  find usr/bin -mindepth 1 ! -name 'python3.11' -delete
  find etc -mindepth 1 -maxdepth 1 ! -name protocols ! -name services ! -name debian_version -exec rm -rf {} +
  rm -rf bin sbin usr/sbin usr/libexec usr/include usr/lib/{dpkg,systemd,init,apt,tmpfiles.d,sysusers.d,pam.d,ssl} usr/lib/*/perl* usr/lib/*/gconv lib/{systemd,udev} var dev
  find . -name __pycache__ -prune -exec rm -rf {} +
  mkdir -p etc/ssl/certs var/tmp root dev proc sys run tmp
  chmod 1777 tmp var/tmp
  mkdir -p usr/lib/ssl
  mv "$work/ca.crt" etc/ssl/certs/ca-certificates.crt
  ln -s /etc/ssl/certs/ca-certificates.crt usr/lib/ssl/cert.pem
  printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n' >etc/passwd
  printf 'root:x:0:\nnonroot:x:65532:\n' >etc/group
  printf 'hosts: files dns\n' >etc/nsswitch.conf
  ldconfig -X -r .
  PYTHONHASHSEED=0 chroot . /usr/bin/python3.11 -m compileall -q --invalidation-mode unchecked-hash /usr/lib/python3.11
}

"$what"
mkdir -p usr/local/bin
for name in python python3; do ln -sf /usr/bin/python3.11 "usr/local/bin/$name"; done
chmod 755 .
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --numeric-owner --format=gnu -cf "$work/made.tar" .
mv "$work/made.tar" "$tarball"
