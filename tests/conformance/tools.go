//go:build tools

// Package conformance names the program that upstream.sh builds.
package conformance

import _ "github.com/opencontainers/distribution-spec/conformance"
