//! Black-box tests of the distribution API: a whole server over SQLite and
//! files in a temporary directory, spoken to over the wire.

mod accounts;
mod acr;
mod app;
mod auth;
mod azure_api;
mod clients;
mod federation;
mod inspected;
mod lists;
mod manifests;
mod native_api;
mod pull;
mod restart;
mod uploads;
mod webhooks;
