//! Verifies passwords: Argon2, which is slow on purpose, so a few at a time
//! and remembered for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use sha2::{Digest, Sha256};
use store::{AccountRecord, Secret, StoreError};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use super::AuthError;

/// Hashes computed at once; each takes 19 MiB.
const HASHING_MAX: usize = 2;
/// Callers that may wait for one.
const WAITING_MAX: usize = 64;
/// How long a verified password is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many are.
const REMEMBERED_MAX: usize = 4096;

/// Secrets of one account that are tried.
pub const SECRETS_MAX: usize = 4;

fn is_hash_of(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Hashes a password for storing. Blocks for some ten milliseconds.
pub fn hash_password(password: &str) -> Result<String, StoreError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|h| h.to_string()).map_err(|error| StoreError::corrupt("password", error))
}

/// Verifies passwords, with a memory for those that were right.
pub(super) struct Passwords {
    /// Makes the memory useless to whoever reads a dump of it.
    key: [u8; 32],
    remembered: Mutex<HashMap<[u8; 32], Instant>>,
    hashing: Semaphore,
    waiting: Semaphore,
    /// What a name that does not exist is verified against, so that it takes
    /// as long as one that does.
    nobody: Arc<OnceLock<String>>,
}

impl Passwords {
    pub fn new() -> Result<Self, StoreError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|e| StoreError::io("make a key")(e.into()))?;
        Ok(Self {
            key,
            remembered: Mutex::default(),
            hashing: Semaphore::new(HASHING_MAX),
            waiting: Semaphore::new(HASHING_MAX + WAITING_MAX),
            nobody: Arc::default(),
        })
    }

    /// The account's secret that the password is; expired ones do not count.
    /// `record` is the account of this name, if there is one.
    pub async fn verify(
        &self,
        record: Option<&AccountRecord>,
        name: &str,
        password: &str,
        now: OffsetDateTime,
    ) -> Result<Option<Secret>, AuthError> {
        let secrets = record.map_or(&[][..], |r| &r.secrets);
        let lasts = |s: &&Secret| s.expires_at.is_none_or(|until| now < until);
        let secrets: Vec<Secret> =
            secrets.iter().filter(lasts).take(SECRETS_MAX).cloned().collect();
        // The stored hash is part of the key: a changed password is forgotten.
        let key = |secret: &Secret| self.memory_key(&[&secret.hash, name, password]);
        if let Some(secret) = secrets.iter().find(|s| self.remembers(&key(s), Instant::now())) {
            return Ok(Some(secret.clone()));
        }
        let _waiting = self.waiting.try_acquire().map_err(|_| AuthError::Busy)?;
        let _hashing = self.hashing.acquire().await.map_err(|_| AuthError::Busy)?;
        let (tried, nobody) = (password.to_owned(), self.nobody.clone());
        let verified = tokio::task::spawn_blocking(move || {
            if secrets.is_empty() {
                let placeholder = nobody.get_or_init(|| hash_password("").unwrap_or_default());
                is_hash_of(placeholder, &tried);
                return None;
            }
            secrets.into_iter().find(|secret| is_hash_of(&secret.hash, &tried))
        });
        let verified = verified.await.ok().flatten();
        if let Some(secret) = &verified {
            self.remember(self.memory_key(&[&secret.hash, name, password]), Instant::now());
        }
        Ok(verified)
    }

    fn memory_key(&self, parts: &[&str]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        for part in parts {
            // With its length, or "a" + "bc" would be "ab" + "c".
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    fn remembers(&self, key: &[u8; 32], now: Instant) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(key).is_some_and(|until| now < *until)
    }

    fn remember(&self, key: [u8; 32], now: Instant) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, until| now < *until);
        }
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(key, now + REMEMBERED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::{Algorithm, Params, Version};

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn account(passwords: &[(&str, Option<OffsetDateTime>)]) -> AccountRecord {
        // Cheap parameters: a hash carries its own.
        let cheap =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let secrets = passwords.iter().enumerate().map(|(i, (password, expires_at))| Secret {
            name: i.to_string(),
            hash: cheap.hash_password(password.as_bytes()).unwrap().to_string(),
            created_at: NOW,
            expires_at: *expires_at,
        });
        AccountRecord {
            account: store::Account {
                name: "a".into(),
                kind: access::Kind::Token,
                display_name: "a".into(),
                enabled: true,
                scope_map: None,
                generation: 0,
                created_at: NOW,
                last_used_at: None,
            },
            secrets: secrets.collect(),
            roles: vec![],
            actions: vec![],
        }
    }

    async fn check(passwords: &Passwords, record: &AccountRecord, password: &str, name: &str) {
        // Twice: the second answer may come from memory.
        for _ in 0..2 {
            let found = passwords.verify(Some(record), "a", password, NOW).await.unwrap();
            assert_eq!(found.map(|s| s.name).unwrap_or_default(), name, "{password}");
        }
    }

    #[tokio::test]
    async fn each_secret_works_until_it_expires_or_changes() {
        let passwords = Passwords::new().unwrap();
        let second = time::Duration::seconds(1);
        let record = account(&[("one", Some(NOW)), ("two", Some(NOW + second)), ("three", None)]);
        check(&passwords, &record, "one", "").await;
        check(&passwords, &record, "two", "1").await;
        check(&passwords, &record, "three", "2").await;
        check(&passwords, &record, "four", "").await;
        let later = passwords.verify(Some(&record), "a", "two", NOW + second).await.unwrap();
        assert_eq!(later, None, "what is remembered expires too");
        check(&passwords, &account(&[("four", None)]), "three", "").await;
        check(&passwords, &account(&[]), "", "").await;
        let nobody = passwords.verify(None, "nobody", "", NOW).await.unwrap();
        assert_eq!(nobody, None, "not even the placeholder's password");
    }

    #[test]
    fn memory_ends() {
        let passwords = Passwords::new().unwrap();
        let (key, now) = (passwords.memory_key(&["a", "b"]), Instant::now());
        assert_ne!(key, passwords.memory_key(&["ab", ""]));
        passwords.remember(key, now);
        assert!(passwords.remembers(&key, now));
        assert!(!passwords.remembers(&key, now + REMEMBERED));
    }
}
