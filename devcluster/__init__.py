"""A real Kubernetes on one machine, for the demo, the tests and the benchmarks.

kube-apiserver, kube-controller-manager and etcd are the real programs; Pods are run by a *process
node*, which runs each Pod's command as a local process. Redis is a real server, BullMQ is the real
library. See README.md in this folder for what that can and cannot show. Linux only: every cluster
takes a loopback network of its own (127.n.0.0/16), and processes are held by Linux means.
"""
