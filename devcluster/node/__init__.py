"""The process node: registers a Node and runs the Pods bound to it as local processes.

It is the kubelet of a cluster without containers, and the scheduler of a cluster with one node.
What a process cannot have (an image's file system, mounts, limits, a uid) is either refused with a
waiting reason that says so, or accepted and listed in devcluster/README.md.
"""
