#!/usr/bin/env bash
# The first process of a node's namespaces (tests/bed/node.py): readies its file systems, cgroups and network, starts its parts, and
# stays. When it ends, the kernel ends all. Its files are in DIRECTORY; what they say is nothing of the host's.
# usage: init.sh DIRECTORY CGROUP NAME ADDRESS/BITS SERVICES
set -euo pipefail
directory=$1 group=$2 node=$3 address=$4 services=$5
export PATH=$PATH:/usr/sbin:/sbin
mount --make-rshared /
state=$directory/state
mount -t tmpfs -o mode=755 tmpfs "$state"
mkdir -p "$state"/{containerd,kubelet,lib,work,volume-plugins,pki,sysctl}
mount -t overlay -o "lowerdir=/var/lib,upperdir=$state/lib,workdir=$state/work" overlay /var/lib # kubelet and CNI write there
mount --bind "$directory/log" /var/log
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock
# kubelet wants kernel settings that are the whole machine's: it finds files that say what it likes
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  name=${setting%%=*} file=$state/sysctl/${setting//[\/=]/-}
  echo "${setting##*=}" >"$file"
  mount --bind "$file" "/proc/sys/$name"
done
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then # version 2
  mkdir -p "/sys/fs/cgroup/$group"
  sed 's/\</+/g' "/sys/fs/cgroup/$group/cgroup.controllers" >"/sys/fs/cgroup/$group/cgroup.subtree_control"
else
  for controller in /sys/fs/cgroup/*/; do
    [ "$controller" = /sys/fs/cgroup/unified/ ] || mkdir -p "$controller/$group"
  done
  for file in cpuset.cpus cpuset.mems; do cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$group/$file"; done
fi
ip link set lo up
ip link add cni0 type bridge
ip address add "$address" dev cni0
ip link set cni0 up
ip route add "$services" dev cni0 # kube-proxy has them on their way before they leave
echo 1 >/proc/sys/net/ipv4/ip_forward

start() { local name=$1; shift; "$@" >"$directory/log/$name.log" 2>&1 & }
start containerd containerd --config "$directory/containerd.toml"
until ctr version >/dev/null 2>&1; do sleep 0.1; done
for archive in "$directory"/images/*; do
  ctr --namespace k8s.io images import "$archive" >>"$directory/log/images.log" 2>&1
done
start kubelet "$directory/bin/kubelet" --config "$directory/kubelet.json" --kubeconfig "$directory/kubelet.kubeconfig" \
  --root-dir "$state/kubelet" --cert-dir "$state/pki" --hostname-override "$node" --node-ip "${address%/*}"
start kube-proxy "$directory/bin/kube-proxy" --config "$directory/kube-proxy.json"
while :; do wait -n || true; sleep 0.2; done
