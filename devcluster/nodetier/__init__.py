"""A real node on this machine: a kubelet runs the shipped image from the shipped manifests.

It needs root on Linux (see prerequisites.py) and has network, mount and process namespaces of its
own: none of its addresses exists on the machine, and its processes and mounts end with them.
"""
