// Package graphrun builds a plan of package graph on this machine, one image after its parents and several at once, and stamps each with
// package graphstate.
//
// # What a builder is given
//
// A parent whose digest is known is given to the builder in the place of the name that the Dockerfile has, as a named context:
//
//   - docker buildx compares names after variables are replaced, in the short form of Docker (docker.io/library/alpine:latest is alpine), for
//     FROM, COPY --from and RUN --mount alike (buildkit: frontend/dockerui/namedcontext.go). A frontend of "# syntax=" is given as the build
//     argument BUILDKIT_SYNTAX. Which images it really used stands in the provenance of its metadata file, which the stamp is held to.
//   - buildah compares what stands behind FROM letter by letter before variables are replaced (imagebuildah/executor.go, since 1.26), and what
//     stands behind --from after. So it is given every way to write a name, and what the Dockerfile has behind FROM as well. It prints the image
//     that each stage begins with, and a stage that does not begin with the digest that was given fails the build. It knows no frontends.
//   - Neither can be told of an image whose name is also that of a stage of the same Dockerfile: a named context would replace the stage. That is
//     an error for buildah; with buildx the provenance decides.
//   - A command of the user's gets all of it in its environment: see Command.
//
// # Order and failure
//
// After each build the plan is asked again for the images whose parents are now known, so that a digest that is the same as before ends the
// cascade. Before and after each build its source tag is asked for: where another run stamped the image meanwhile, theirs counts, so that both
// go on with the same parents; one that is forced is built and stamped all the same. An image that fails keeps those that are built from it from
// being built; all others are. The next run begins where this one ended, as the registry alone says what is there.
package graphrun
