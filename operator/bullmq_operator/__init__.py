"""Retires old versions of BullMQ queues on Kubernetes without losing a job."""
