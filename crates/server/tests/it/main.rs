//! Black-box scenarios: the real binary with its sandboxed workers, spoken to
//! over the wire and by its command line.

mod accounts;
mod advisories;
mod app;
mod caches;
#[path = "../../../backends/tests/postgres/cluster.rs"]
mod cluster;
mod command_line;
mod download;
mod image;
mod imports;
#[path = "../../../backends/tests/objects/servers.rs"]
mod object_servers;
mod objects;
mod postgres;
mod push;
mod reports;
#[path = "../../../upstream/tests/it/fake.rs"]
mod upstream_fake;
mod webhooks;
