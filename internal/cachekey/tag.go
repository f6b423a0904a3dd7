package cachekey

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// prefix of every key's tag. It keeps keys apart from the tags of people.
const prefix = "content-"

// maxNamed bounds the characters that an error lists.
const maxNamed = 10

// Tag returns the tag of a key: "content-" and the key where that is a tag (distribution-spec: 128 characters), else "content-" and the
// SHA-256 of the key in hexadecimal. A key with characters that no tag can have is hashed when hash says so; else it is GANTRY1012, as a
// key that was mistyped should not work by chance. An empty key is GANTRY1012 always: it stands for nothing.
func Tag(key string, hash bool) (string, error) {
	if key == "" {
		return "", diag.New(diag.InvalidCacheKey, "the cache key is empty", "set ContainerCacheKey to what the image depends on, such as a hash of its sources")
	}
	hashed := prefix + cas.DigestOf([]byte(key)).Hex()
	if bad := unfit(key); len(bad) > 0 {
		if hash {
			return hashed, nil
		}
		return "", diag.New(diag.InvalidCacheKey, fmt.Sprintf("the cache key has characters that cannot be in a tag: %s", strings.Join(bad, " ")),
			"use letters, digits, _ . -, or set GantryHashCacheKey=true")
	}
	if tag := prefix + key; registry.ParseTag(tag) == nil {
		return tag, nil
	}
	return hashed, nil
}

// unfit lists the characters of a key that no tag can have, quoted, each once.
func unfit(key string) []string {
	var out []string
	for _, r := range key {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-' {
			continue
		}
		if q := fmt.Sprintf("%q", r); !slices.Contains(out, q) {
			out = append(out, q)
		}
		if len(out) == maxNamed {
			return append(out, "…")
		}
	}
	return out
}
