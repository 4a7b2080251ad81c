//! Lazaret: a container registry that inspects every image it holds.

mod cli;
mod collector;
mod commands;
mod config;
mod database_url;
mod inspect;
mod listener;
mod notify;
mod oidc;
mod output;
mod portal;
mod router;
mod serve;
mod storage;
mod target;
mod telemetry;
mod tls;
mod webhook_sender;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use cli::{AdvisoriesCommand, Cli, Command, VersionsCommand};
use output::{out, outln};

/// Could not be done.
const EXIT_FAILED: u8 = 3;

fn main() -> ExitCode {
    // Before anything else: no runtime, no logs, nothing but the sandbox.
    if std::env::args_os().nth(1).is_some_and(|word| word == backends::sandbox::WORKER_COMMAND) {
        return backends::sandbox::worker_main();
    }
    let cli = Cli::parse();
    // With two providers compiled in by dependencies, rustls could not choose.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            // A reader that went away (`| head`) is no failure to speak of.
            if !is_broken_pipe(&error) {
                eprintln!("lazaret: {error:#}");
            }
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let log = cli.log.as_deref();
    match cli.command {
        Command::Serve(args) if args.print_config => {
            out!("{}", config::DEFAULT_FILE)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve(args) => {
            let config = config::Config::load(&args)?;
            telemetry::init_logs(log, config.log_format);
            runtime()?.block_on(serve::serve(config))?;
            Ok(ExitCode::SUCCESS)
        }
        other => {
            telemetry::init_logs(Some(log.unwrap_or("warn")), config::LogFormat::Text);
            runtime()?.block_on(async {
                match other {
                    Command::Scan(args) => commands::scan::run(&args).await,
                    Command::Inventory(args) => commands::inventory::run(&args).await,
                    Command::Match(args) => commands::matching::run(&args),
                    Command::Explain(args) => commands::explain::run(&args).await,
                    Command::Advisories(AdvisoriesCommand::Update { db, sources }) => {
                        commands::update::run(&db, &sources).await
                    }
                    Command::Advisories(command) => commands::advisories::run(&command),
                    Command::Versions(VersionsCommand::Compare { ecosystem }) => {
                        commands::versions::run(&ecosystem)
                    }
                    Command::Import(args) => commands::import::run(args).await,
                    Command::Admin(args) => commands::admin::run(args).await,
                    Command::Openapi => {
                        outln!("{}", api::portal::openapi::document_json()?)?;
                        Ok(ExitCode::SUCCESS)
                    }
                    Command::Serve(_) => unreachable!("handled above"),
                }
            })
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
