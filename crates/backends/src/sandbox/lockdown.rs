//! How a worker locks itself in: resource limits, landlock, and a filter that
//! lets through the few system calls that reading a layer takes.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
    Scope,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// What a worker may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockdownLimits {
    /// Address space, in bytes.
    pub memory_bytes_max: u64,
    /// Processor time, in seconds.
    pub cpu_secs_max: u64,
}

/// How far it went. The system-call filter is always in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lockdown {
    /// Whether the kernel has landlock and it denies the file system.
    pub landlock: bool,
}

/// Why a process could not be locked in. It must then read nothing.
#[derive(Debug, thiserror::Error)]
pub enum LockdownError {
    /// A resource limit was refused.
    #[error("cannot limit the worker's {what}")]
    Limit {
        /// Which resource.
        what: &'static str,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// Landlock is there and refuses.
    #[error("cannot deny the worker the file system with landlock")]
    Landlock(#[from] landlock::RulesetError),
    /// The filter could not be built.
    #[error("cannot build the worker's system-call filter")]
    Filter(#[from] seccompiler::BackendError),
    /// The kernel refuses the filter, as without CONFIG_SECCOMP_FILTER.
    #[error(
        "cannot put the worker behind its system-call filter; Lazaret needs a kernel with seccomp"
    )]
    Seccomp(#[from] seccompiler::Error),
}

/// Locks this process in, for good. Only the calling thread and its children
/// are bound, so call it while there is one thread. Descriptor 0 can then be
/// read at offsets, 1 be read and written, 2 be written, and nothing else be
/// reached.
pub fn lock_down(limits: &LockdownLimits) -> Result<Lockdown, LockdownError> {
    for (what, resource, value) in [
        ("memory", Resource::As, limits.memory_bytes_max),
        ("processor time", Resource::Cpu, limits.cpu_secs_max),
        ("core dumps", Resource::Core, 0),
        ("file sizes", Resource::Fsize, 0),
        ("processes", Resource::Nproc, 0),
    ] {
        limit(what, resource, value)?;
    }
    let landlock = deny_files()?;
    // Not before landlock, which needs a descriptor for its rules.
    limit("open files", Resource::Nofile, 0)?;
    let filter = filter()?;
    // Sets no_new_privs, too.
    seccompiler::apply_filter(&filter)?;
    Ok(Lockdown { landlock })
}

fn limit(what: &'static str, resource: Resource, value: u64) -> Result<(), LockdownError> {
    setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
        .map_err(|errno| LockdownError::Limit { what, source: errno.into() })
}

/// No path, no TCP port, no abstract socket, no signal to others; as much of
/// it as the kernel knows.
fn deny_files() -> Result<bool, LockdownError> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::from_all(ABI::V6))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let always = [
        // Memory.
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        // The standard library's locks, clocks, hash keys and panics.
        libc::SYS_futex,
        libc::SYS_clock_gettime,
        libc::SYS_getrandom,
        libc::SYS_sched_yield,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    rules.extend(always.map(|call| (call, Vec::new())));
    let equals = |argument, value| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    let one = |condition: SeccompCondition| SeccompRule::new(vec![condition]);
    rules.insert(libc::SYS_pread64, vec![one(equals(0, 0)?)?]);
    rules.insert(libc::SYS_read, vec![one(equals(0, 1)?)?]);
    rules.insert(libc::SYS_write, vec![one(equals(0, 1)?)?, one(equals(0, 2)?)?]);
    // Memory of no file, and none that can be run.
    let no_exec = || {
        let masked = SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64);
        SeccompCondition::new(2, SeccompCmpArgLen::Dword, masked, 0)
    };
    let no_file = equals(4, u64::from(u32::MAX))?;
    rules.insert(libc::SYS_mmap, vec![SeccompRule::new(vec![no_exec()?, no_file])?]);
    rules.insert(libc::SYS_mprotect, vec![one(no_exec()?)?]);
    // abort(): a signal to this very process.
    rules.insert(libc::SYS_tgkill, vec![one(equals(0, u64::from(std::process::id()))?)?]);
    SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}
