#!/usr/bin/env bash
# Run the tests on Pythons that this machine lacks, in a chroot of Debian sid: debian_sid.sh DIRECTORY VERSION...
# For example: sudo tests/platforms/debian_sid.sh /var/tmp/sid 3.14 3.15. It needs root, debootstrap, and 1 GB in
# DIRECTORY, which is kept for the next run. MIRROR, pip's settings and the machine's CA bundle are used if they are set.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
root=$(cd "$1" && pwd)
shift

inside() {
    chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive PIP_CERT=/ca.crt "$@"
}

[ -x "$root/usr/bin/apt-get" ] || debootstrap --variant=minbase sid "$root" ${MIRROR:+"$MIRROR"}
trap 'umount -R "$root/proc" "$root/dev"' EXIT
mount --bind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --make-rslave "$root/dev"  # so that umount does not reach the machine's own /dev
cp -L /etc/ssl/certs/ca-certificates.crt "$root/ca.crt"
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf; do [ ! -e "$file" ] || cp -L "$file" "$root$file"; done
cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
inside apt-get update -qq
rm -rf "$root/project"
git clone -q "$project" "$root/project"

for version; do
    inside apt-get install -y -qq --no-install-recommends "python$version" "python$version-venv" git
    inside "python$version" -m venv --clear "/venv-$version"
    inside "/venv-$version/bin/pip" install -q "/project[cli,testing]" pytest pytest-xdist hypothesis ipython tqdm
    inside bash -c "cd /project && /venv-$version/bin/python -m pytest -q -n 2 -p no:cacheprovider"
done
