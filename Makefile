# run and test are all that a newcomer needs.
.DEFAULT_GOAL := help
.PHONY: help run test lint portal bench clean

help:
	@echo 'make run     build, import advisories, serve, push a sample image, show its findings'
	@echo '             (ONCE=1 stops then; PROFILE=release for real use; LISTEN=, DATA=)'
	@echo 'make test    unit, property, scenario, real clients, hostile images, portal flows'
	@echo 'make lint    rustfmt, clippy, rustdoc, cargo-deny, tidy, portal types'
	@echo 'make portal  build the portal that the server embeds'
	@echo 'make bench   the figures of benches/README.md'
	@echo 'make clean   what run and test leave in the clone'

run:
	@PROFILE='$(PROFILE)' ONCE='$(ONCE)' LISTEN='$(LISTEN)' DATA='$(DATA)' scripts/run.sh

test:
	@scripts/test.sh

lint:
	@scripts/lint.sh
	@scripts/portal_check.sh

portal:
	@scripts/portal_build.sh

bench:
	@benches/all.sh

clean:
	rm -rf out portal/dist portal/test-results portal/node_modules
	cargo clean
