variable "TAG" { default = "1.4" }
group "default" { targets = ["app", "tools"] }
group "tools" { targets = ["tool"] }
target "_common" {
  args = { BUILDKIT_INLINE_CACHE = 1, COMMIT = null, EMPTY = "", TEMPLATE = "$${NAME}-%%{if}" }
  labels = { "org.opencontainers.image.version" = "${TAG}" }
  platforms = ["linux/amd64", "linux/arm64"]
}
target "base" {
  inherits = ["_common"]
  dockerfile-inline = <<EOT
FROM alpine:3.22
RUN echo "$${HOME}"
EOT
  tags = ["registry.example.org/base:${TAG}"]
}
target "app" {
  inherits = ["_common"]
  context = "src/app"
  dockerfile = "../../docker/app.Dockerfile"
  contexts = { base = "target:base", certs = "certs", go = "docker-image://golang:1.26" }
  tags = ["registry.example.org/app:${TAG}"]
  attest = ["type=provenance,mode=max", "type=sbom"]
  output = ["type=registry,compression=zstd"]
  cache-from = ["type=gha"]
  network = "none"
  annotations = ["index:org.opencontainers.image.title=App $${x}"]
  target = "final"
}
target "tool" {
  name = "tool-${t}-${replace(v, ".", "-")}"
  matrix = { t = ["lint", "fmt"], v = ["1.0", "2.0"] }
  context = "tools/${t}"
  args = { VERSION = v }
  tags = ["registry.example.org/${t}:${v}"]
}
