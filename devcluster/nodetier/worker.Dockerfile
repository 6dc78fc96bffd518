# The dev cluster's Node BullMQ programs as an image; its context is assembled by images.py.
ARG BASE_IMAGE
# hadolint ignore=DL3006
FROM ${BASE_IMAGE}
COPY node /usr/local/bin/node
COPY node_modules /programs/node_modules
COPY *.js /programs/
ENV BULLMQ_PACKAGE=bullmq6 POD_IP=0.0.0.0
WORKDIR /programs
USER 65532:65532
ENTRYPOINT ["node", "worker.js"]
