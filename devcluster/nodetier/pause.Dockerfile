# The container that holds a Pod's namespaces; catatonit is a static program and waits for ever.
FROM scratch
COPY catatonit /catatonit
ENTRYPOINT ["/catatonit", "-P"]
