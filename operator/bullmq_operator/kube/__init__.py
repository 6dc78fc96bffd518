"""The only Kubernetes client: objects in, domain types out; failures as KubeError."""
