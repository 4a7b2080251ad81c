// The specification's own suite, as a dependency: upstream.sh asks the module proxy for it.
module lazaret.example/conformance

go 1.24
