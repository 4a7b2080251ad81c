//! The command line: a contract that scripts rely on.

pub mod access;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use access::*;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// A self-hosted container registry that inspects every image it holds.
#[derive(Debug, Parser)]
#[command(name = "lazaret", version, max_term_width = 100, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// How much to log to standard error: error, warn, info, debug, trace, or a filter such as
    /// `info,scanner=debug`.
    #[arg(long, global = true, env = "LAZARET_LOG", value_name = "FILTER")]
    pub log: Option<String>,

    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the answer is \"no\" (a gate failed, differences were found), \
2 wrong usage, 3 could not be done.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: registry, APIs and portal.
    Serve(ServeArgs),
    /// Inspect an image without a server.
    Scan(ScanArgs),
    /// List the packages of an image.
    Inventory(InventoryArgs),
    /// Findings for packages given as purls.
    Match(MatchArgs),
    /// Say why a CVE or advisory is or is not reported for an image.
    Explain(ExplainArgs),
    /// Manage the advisory index.
    #[command(subcommand)]
    Advisories(AdvisoriesCommand),
    /// Copy an image from another registry into a running server.
    Import(ImportArgs),
    /// Compare versions by the rules of an ecosystem.
    #[command(subcommand)]
    Versions(VersionsCommand),
    /// Maintain an installation, while it runs or not.
    Admin(AdminArgs),
    /// Print the OpenAPI document of the native API.
    Openapi,
}

#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// Where everything is kept; made at the first start.
    #[arg(long, env = "LAZARET_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8443, with --http 127.0.0.1:8080].
    #[arg(long, env = "LAZARET_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Plain HTTP, on a loopback address only.
    #[arg(long)]
    pub http: bool,
    /// Configuration file (TOML); what the command line says wins.
    #[arg(long, env = "LAZARET_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print a configuration file with every default, and end.
    #[arg(long)]
    pub print_config: bool,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    // Not doc comments: rustdoc takes the brackets for links.
    #[arg(help = "HOST/REPOSITORY[:TAG][@DIGEST], such as docker.io/library/debian:12")]
    pub source: String,
    #[arg(
        value_name = "TARGET",
        required = true,
        help = "REPOSITORY[:TAG] on the server; without a tag the source's is kept"
    )]
    pub targets: Vec<String>,
    /// Take only this platform of an index, as os/arch[/variant]; may be repeated.
    #[arg(long = "platform", value_name = "PLATFORM")]
    pub platforms: Vec<String>,
    /// Move tags that exist.
    #[arg(long)]
    pub force: bool,
    /// Leave signatures, SBOMs and other referrers behind.
    #[arg(long)]
    pub no_referrers: bool,
    /// Account at the source.
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// Read the password or token for the source from standard input.
    #[arg(long)]
    pub password_stdin: bool,
    /// The server to import into; signs in with LAZARET_USER and LAZARET_PASSWORD, or as docker,
    /// podman or skopeo did.
    #[arg(
        long,
        env = "LAZARET_SERVER",
        value_name = "URL",
        default_value = "https://localhost:8443"
    )]
    pub server: String,
    /// CA certificates (PEM) to trust for the server, beside the system's.
    #[arg(long, env = "LAZARET_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Output form [default: progress and one line on a terminal, else json].
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

#[derive(Debug, Args)]
pub struct AdminArgs {
    /// The data directory of the installation.
    #[arg(long, global = true, env = "LAZARET_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The configuration file that its server runs with.
    #[arg(long, global = true, env = "LAZARET_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Output form [default: table on a terminal, else json].
    #[arg(long, global = true, value_enum)]
    pub format: Option<Format>,
    #[command(subcommand)]
    pub command: AdminCommand,
}

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Remove what no image needs, while the server runs.
    Gc(GcArgs),
    /// People's accounts.
    #[command(subcommand)]
    Accounts(AccountsCommand),
    /// Service principals, for automation.
    #[command(subcommand)]
    Principal(PrincipalCommand),
    /// Roles of accounts and service principals.
    #[command(subcommand)]
    Role(RoleCommand),
    /// Tokens that are limited to some repositories.
    #[command(subcommand)]
    Token(TokenCommand),
    /// What tokens may do.
    #[command(subcommand)]
    ScopeMap(ScopeMapCommand),
    /// The registry's admin user, which may do everything to images.
    #[command(subcommand)]
    AdminUser(AdminUserCommand),
    /// Whether everybody may pull; holds for a running server within seconds.
    AnonymousPull {
        #[arg(value_enum, default_value = "show")]
        value: AnonymousPull,
    },
    /// Read everything that is stored again, and say what is missing or damaged; exit code 1 if
    /// something is.
    Scrub(ScrubArgs),
    /// Copy the installation into a folder while the server runs; again into the same folder copies
    /// what is new.
    Backup(BackupArgs),
    /// Immutable tags, retention, soft delete, quotas: one JSON document.
    #[command(subcommand)]
    Policies(PoliciesCommand),
    /// Delete what the retention rules say.
    Retention {
        /// Say what would go, and which rule says so.
        #[arg(long)]
        dry_run: bool,
    },
    /// Bytes held, by the registry and its largest repositories.
    Usage {
        /// Count again, correct the counters, and end with exit code 1 if they were wrong.
        #[arg(long)]
        recount: bool,
    },
    /// Move a stopped installation onto other stores, such as PostgreSQL and S3.
    Migrate {
        /// The configuration file of the new one, with its database and content sections.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Make a new data directory (--data) from a backup.
    Restore(RestoreArgs),
    /// Tell others of pushes and deletions by HTTP.
    #[command(subcommand)]
    Webhook(WebhookCommand),
}

#[derive(Debug, Subcommand)]
pub enum PoliciesCommand {
    /// Print what is in force, with its version.
    Show,
    /// Replace it.
    Set {
        /// The document (`policies` of what `show` prints); `-` reads standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Only if this is still the version in force.
        #[arg(long, value_name = "VERSION")]
        expected: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Make a webhook or change the one of that name; prints it with the secret
    /// that its signatures are made with.
    Put {
        /// 5 to 50 letters and digits.
        name: String,
        /// Where to post.
        #[arg(long)]
        uri: String,
        /// push, delete or quarantine; may be repeated.
        #[arg(long = "action", required = true, value_name = "ACTION")]
        actions: Vec<String>,
        /// Which repositories and tags: REPOSITORY or REPOSITORY:TAG, with or without * at the
        /// end [default: all].
        #[arg(long, default_value = "", hide_default_value = true)]
        scope: String,
        /// A header to send along, as NAME=VALUE; may be repeated.
        #[arg(long, value_name = "NAME=VALUE")]
        header: Vec<String>,
        /// Post CloudEvents 1.0 and not Azure's own form.
        #[arg(long)]
        cloud_events: bool,
        /// Keep it, and send nothing.
        #[arg(long)]
        disabled: bool,
    },
    /// List the webhooks.
    List,
    /// Delete a webhook with its log.
    Delete {
        /// Its name.
        name: String,
    },
    /// Have the server post a ping.
    Ping {
        /// Its name.
        name: String,
    },
    /// Show what was sent, newest first.
    Log {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct GcArgs {
    /// Change nothing and say what would go.
    #[arg(long)]
    pub dry_run: bool,
    /// How long a blob that no manifest needs may stay, such as 90s, 30m, 2h or 7d [default: the
    /// configuration's].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub grace: Option<Duration>,
    /// Say what keeps a blob or manifest, or which run removed it.
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["dry_run", "runs"])]
    pub why: Option<String>,
    /// List the last runs.
    #[arg(long, conflicts_with = "dry_run")]
    pub runs: bool,
}

#[derive(Debug, Args)]
pub struct ScrubArgs {
    /// Replace what is damaged by a copy from --from.
    #[arg(long, requires = "from")]
    pub repair: bool,
    /// A backup, or another data directory, that may have a good copy.
    #[arg(long, value_name = "DIR")]
    pub from: Vec<PathBuf>,
    /// Read at most so many bytes in a second.
    #[arg(long, value_name = "BYTES")]
    pub bytes_per_second: Option<u64>,
    /// Go on where a run was cut off.
    #[arg(long)]
    pub resume: bool,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where it goes; made if it is not there.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Give blobs a second name instead of copying them, where DIR is on the same file system. Fast,
    /// but a damaged disk damages both.
    #[arg(long)]
    pub link: bool,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// What `backup` wrote.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Restore although blobs are missing or damaged; these are not served.
    #[arg(long)]
    pub force: bool,
}

/// A whole number and its unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err("is not a number of seconds, or of s, m, h or d such as 30m".into()),
    };
    let number: u32 = digits.parse().map_err(|_| "does not begin with a whole number")?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[derive(Debug, Args)]
pub struct TargetArgs {
    // Not a doc comment: rustdoc takes the brackets for links.
    #[arg(
        help = "oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE or registry:HOST/REPO:TAG"
    )]
    pub target: String,
    /// Which image of a multi-platform index, as os/arch[/variant].
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// CA certificates (PEM) to trust for registry: targets, beside the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Use plain HTTP for registry: targets.
    #[arg(long)]
    pub plain_http: bool,
}

#[derive(Debug, Args)]
pub struct DbArgs {
    /// The advisory index [default: the data directory's].
    #[arg(long, env = "LAZARET_DB", value_name = "DIR")]
    pub db: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ScanArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Output form [default: table on a terminal, else json].
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    #[command(flatten)]
    pub db: DbArgs,
    /// End with exit code 1 if a finding of this severity or worse is there.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub fail_on: Option<SeverityArg>,
}

#[derive(Debug, Args)]
pub struct InventoryArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Output form [default: table on a terminal, else json].
    #[arg(long, value_enum)]
    pub format: Option<InventoryFormat>,
}

#[derive(Debug, Args)]
pub struct MatchArgs {
    /// Package URLs; `-` reads them from standard input, one a line.
    #[arg(required = true, value_name = "PURL")]
    pub purls: Vec<String>,
    #[command(flatten)]
    pub db: DbArgs,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Output form [default: table on a terminal, else json].
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// A CVE, an advisory's id, or a finding id.
    pub id: String,
    #[command(flatten)]
    pub db: DbArgs,
}

#[derive(Debug, Subcommand)]
pub enum AdvisoriesCommand {
    /// Compile upstream files or folders into the index; formats are detected.
    Import {
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        db: DbArgs,
        /// Output form [default: table on a terminal, else json].
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Fetch the live feeds and import them.
    Update {
        #[command(flatten)]
        db: DbArgs,
        /// Only these sources, such as osv/PyPI or debian/tracker [default: all].
        #[arg(value_name = "SOURCE")]
        sources: Vec<String>,
    },
    /// Show each source with its age.
    Status {
        #[command(flatten)]
        db: DbArgs,
        /// Output form [default: table on a terminal, else json].
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Write the index to one file, for a site without internet.
    Pack {
        /// The file to write.
        file: PathBuf,
        #[command(flatten)]
        db: DbArgs,
    },
    /// Replace the index by what `pack` wrote.
    Unpack {
        /// The file to read.
        file: PathBuf,
        #[command(flatten)]
        db: DbArgs,
    },
}

#[derive(Debug, Subcommand)]
pub enum VersionsCommand {
    /// Read `A<TAB>B` lines, print `<`, `=`, `>` or `?` (cannot be compared) for each.
    Compare {
        /// An OSV ecosystem name (Debian, Alpine, PyPI, npm ...), RPM or semver.
        ecosystem: String,
    },
}

/// Output forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For machines.
    Json,
}

impl Format {
    /// What was asked for, else what fits where standard output goes.
    pub fn or_default(asked: Option<Self>) -> Self {
        use std::io::IsTerminal;
        asked.unwrap_or(if std::io::stdout().is_terminal() { Self::Table } else { Self::Json })
    }
}

/// Output forms of `scan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Table,
    /// For machines.
    Json,
    /// SARIF 2.1.0, for code scanning services.
    Sarif,
    /// CycloneDX 1.6 with vulnerabilities.
    Cyclonedx,
    /// SPDX 2.3.
    Spdx,
}

/// Output forms of `inventory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InventoryFormat {
    /// For people.
    Table,
    /// For machines.
    Json,
    /// CycloneDX 1.6.
    Cyclonedx,
    /// SPDX 2.3.
    Spdx,
}

impl From<Format> for ReportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Table => Self::Table,
            Format::Json => Self::Json,
        }
    }
}

impl From<Format> for InventoryFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Table => Self::Table,
            Format::Json => Self::Json,
        }
    }
}

/// Severities that a gate can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SeverityArg {
    Low,
    Medium,
    High,
    Critical,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let check = |text, seconds: Option<u64>| {
            assert_eq!(parse_duration(text).ok(), seconds.map(Duration::from_secs), "{text:?}");
        };
        check("0", Some(0));
        check("90s", Some(90));
        check("30m", Some(1800));
        check("2h", Some(7200));
        check("7d", Some(604_800));
        check("", None);
        check("m", None);
        check("5 minutes", None);
        check("-1s", None);
    }
}
