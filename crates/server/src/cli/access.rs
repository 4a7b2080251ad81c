//! Commands about who may do what.

use clap::{Args, Subcommand, ValueEnum};

/// Where a role holds.
#[derive(Debug, Clone, Args)]
pub struct RoleArgs {
    /// Owner, Contributor, Reader, AcrPull, AcrPush, AcrDelete, "Security Reader" ..., or the GUID
    /// of one.
    #[arg(long)]
    pub role: Option<String>,
    /// Where it holds, and below: / for everything, an ARM path, `registry`, or
    /// repositories/PREFIX.
    #[arg(long, default_value = "registry")]
    pub scope: String,
}

#[derive(Debug, Subcommand)]
pub enum AccountsCommand {
    /// List people's accounts.
    List,
    /// Make an account; prints its password unless one is given.
    Create {
        /// User name.
        name: String,
        #[command(flatten)]
        role: RoleArgs,
        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Delete an account; its tokens and sessions end.
    Delete {
        /// User name.
        name: String,
    },
    /// Give an account another password; its tokens and sessions end.
    Password {
        /// User name.
        name: String,
        /// Read the password from standard input instead of making one up.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Let an account sign in again.
    Enable {
        /// User name.
        name: String,
    },
    /// Keep an account from signing in; its tokens and sessions end.
    Disable {
        /// User name.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum PrincipalCommand {
    /// Make a service principal with a role; prints appId, password and tenant.
    Create {
        /// For people; the user name is the appId.
        name: String,
        #[command(flatten)]
        role: RoleArgs,
        /// The password expires after so many days.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expiration_in_days: Option<u32>,
    },
    /// List the service principals.
    List,
    /// Delete a service principal; its tokens end.
    Delete {
        /// Its appId.
        id: String,
    },
    /// Replace the passwords of a service principal by a new one; its tokens end.
    Reset {
        /// Its appId.
        id: String,
        /// The password expires after so many days.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expiration_in_days: Option<u32>,
    },
}

#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// Give an account or service principal a role.
    Assign {
        /// User name or appId.
        principal: String,
        #[command(flatten)]
        role: RoleArgs,
    },
    /// Take a role away again, at that very scope.
    Remove {
        /// User name or appId.
        principal: String,
        #[command(flatten)]
        role: RoleArgs,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a repository token; prints both passwords.
    Create {
        /// User name.
        name: String,
        /// A scope map, such as _repositories_pull or one of your own.
        #[arg(long, value_name = "MAP", conflicts_with = "repository")]
        scope_map: Option<String>,
        /// A repository (may end in *) and what may be done there: content/read, content/write,
        /// content/delete, metadata/read, metadata/write. May be repeated.
        #[arg(long, num_args = 2.., value_names = ["REPOSITORY", "ACTION"], required_unless_present = "scope_map")]
        repository: Vec<String>,
        /// The passwords expire after so many days.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expiration_in_days: Option<u32>,
    },
    /// List the tokens.
    List,
    /// Delete a token.
    Delete {
        /// Its name.
        name: String,
    },
    /// Make a password of a token anew; prints it.
    GeneratePassword {
        /// Its name.
        name: String,
        /// Which of its two passwords.
        #[arg(long, value_enum, default_value = "password1")]
        password: TokenPassword,
        /// It expires after so many days.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expiration_in_days: Option<u32>,
    },
    /// Let a token sign in again.
    Enable {
        /// Its name.
        name: String,
    },
    /// Keep a token from signing in.
    Disable {
        /// Its name.
        name: String,
    },
}

/// The passwords of a repository token.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum TokenPassword {
    Password1,
    Password2,
}

/// The passwords of the registry's admin user.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum AdminPassword {
    Password,
    Password2,
}

#[derive(Debug, Subcommand)]
pub enum ScopeMapCommand {
    /// Make a scope map, or replace the one of that name for all its tokens.
    Create {
        /// Its name.
        name: String,
        /// A repository (may end in *) and what may be done there. May be repeated.
        #[arg(long, num_args = 2.., value_names = ["REPOSITORY", "ACTION"], required = true)]
        repository: Vec<String>,
        /// For people.
        #[arg(long, default_value = "", hide_default_value = true)]
        description: String,
    },
    /// List the scope maps.
    List,
    /// Delete a scope map that no token has.
    Delete {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum AdminUserCommand {
    /// Say whether the registry's admin user is on.
    Show,
    /// Switch it on; the first time it is made, and its two passwords are printed.
    Enable,
    /// Switch it off; its tokens end.
    Disable,
    /// Make one of its passwords anew; prints it.
    Renew {
        /// Which one.
        #[arg(long, value_enum, default_value = "password")]
        password: AdminPassword,
    },
}

/// Whether everybody may pull.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum AnonymousPull {
    /// Everybody may pull.
    On,
    /// Only who signs in.
    Off,
    /// As the configuration says.
    Default,
    /// Say how it is.
    Show,
}
