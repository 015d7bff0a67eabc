# docker build -t edge .
# docker buildx build --platform linux/amd64,linux/arm64 -t registry.internal/edge --push .
# docker run -p 8080:8080 -e EDGE_PUBLIC_URL=http://npm.example:8080 -v edge-cache:/var/lib/edge/edge-cache edge

# On the builder's own platform, for any: Go builds for others as well.
FROM --platform=$BUILDPLATFORM golang:1.26-alpine AS build
ARG TARGETOS TARGETARCH
# The toolchain that go.mod names, if it is newer than the image's.
ENV GOTOOLCHAIN=auto CGO_ENABLED=0
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags="-s -w" -o /out/edge ./edge
RUN mkdir -p /out/home/edge-cache

# Not scratch: the health check needs an HTTP client, and TLS to the masters the
# usual roots. Both are in the 8 MB of this image.
FROM alpine:3.22
COPY --from=build /out/edge /usr/local/bin/edge
COPY LICENSE /usr/share/doc/edge/
COPY --from=build --chown=65532:65532 /out/home /var/lib/edge
USER 65532:65532
# Put a config.yaml here; without one the built-in configuration runs.
WORKDIR /var/lib/edge
VOLUME /var/lib/edge/edge-cache
# 8080 for clients. The admin listener is 8081 on the container's loopback.
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
	CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8081/healthz"]
ENTRYPOINT ["/usr/local/bin/edge"]
CMD ["serve", "--listen", ":8080"]
