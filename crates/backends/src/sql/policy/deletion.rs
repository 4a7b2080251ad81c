//! Whether a manifest may go, what belongs to it, and taking it away. Runs in
//! the caller's transaction.

use std::collections::{HashMap, HashSet};

use oci::{Digest, RepositoryName, Tag};
use store::policy::{DeleteMode, DeleteRules, Flag, Lockable, Refusal, attached_to, first_match};
use store::{DeletedEntry, Pattern, StoreError};

use super::super::row::{millis, parsed, value};
use super::super::{DbConnection, DbRow};

const ATTEMPTED: &str = "delete a manifest";

/// Manifests that one deletion takes along at most; the rest stays.
const GRAPH_MANIFESTS_MAX: usize = 10_000;

/// A manifest that may have to go.
#[derive(Debug, Clone)]
pub(in super::super) struct Node {
    pub id: i64,
    pub digest: Digest,
    pub media_type: String,
}

fn node(row: &DbRow) -> Result<Node, StoreError> {
    Ok(Node {
        id: value(row, "id")?,
        digest: parsed(row, "digest")?,
        media_type: value(row, "media_type")?,
    })
}

/// Two flags that must be on for a deletion.
fn closed(row: &DbRow) -> Result<Option<Flag>, StoreError> {
    let (write, delete): (bool, bool) =
        (value(row, "write_enabled")?, value(row, "delete_enabled")?);
    Ok(if !delete {
        Some(Flag::Delete)
    } else if !write {
        Some(Flag::Write)
    } else {
        None
    })
}

/// Reads locks within a transaction, and says why something must stay.
pub(in super::super) struct Locks<'a> {
    pub repository: &'a RepositoryName,
    pub repository_id: i64,
    pub immutable: &'a [Pattern],
}

impl Locks<'_> {
    /// Whether anything of the repository may be deleted.
    pub async fn of_repository(
        &self,
        connection: &mut DbConnection,
    ) -> Result<Option<Refusal>, StoreError> {
        let row =
            sqlx::query("SELECT write_enabled, delete_enabled FROM repositories WHERE id = $1")
                .bind(self.repository_id)
                .fetch_one(connection)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
        let object = Lockable::Repository(self.repository.clone());
        Ok(closed(&row)?.map(|flag| Refusal::Locked { object, flag }))
    }

    /// Whether a manifest and its tags may be deleted.
    pub async fn of_manifest(
        &self,
        connection: &mut DbConnection,
        node: &Node,
    ) -> Result<Option<Refusal>, StoreError> {
        let row = sqlx::query(
            "SELECT write_enabled, delete_enabled FROM manifest_attributes WHERE manifest_id = $1",
        )
        .bind(node.id)
        .fetch_optional(&mut *connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        if let Some(flag) = row.as_ref().map(closed).transpose()?.flatten() {
            let object = Lockable::Manifest(self.repository.clone(), node.digest);
            return Ok(Some(Refusal::Locked { object, flag }));
        }
        let rows = sqlx::query(
            "SELECT name, write_enabled, delete_enabled FROM tags WHERE manifest_id = $1 ORDER BY name",
        )
        .bind(node.id)
        .fetch_all(connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        for row in &rows {
            if let Some(refusal) = self.of_tag(row)? {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }

    /// Whether a tag, as a row with its name and flags, may be removed.
    pub fn of_tag(&self, row: &DbRow) -> Result<Option<Refusal>, StoreError> {
        let tag: Tag = parsed(row, "name")?;
        if let Some(flag) = closed(row)? {
            let object = Lockable::Tag(self.repository.clone(), tag);
            return Ok(Some(Refusal::Locked { object, flag }));
        }
        Ok(first_match(self.immutable, tag.as_str()).map(|pattern| Refusal::ImmutableTag {
            repository: self.repository.clone(),
            tag,
            pattern: pattern.clone(),
        }))
    }

    /// Locks of everything in the repository: the first that is in the way.
    pub async fn of_everything(
        &self,
        connection: &mut DbConnection,
    ) -> Result<Option<Refusal>, StoreError> {
        if let Some(refusal) = self.of_repository(&mut *connection).await? {
            return Ok(Some(refusal));
        }
        let row = sqlx::query(
            "SELECT m.digest, a.write_enabled, a.delete_enabled FROM manifest_attributes a \
             JOIN live_manifests m ON m.id = a.manifest_id \
             WHERE m.repository_id = $1 AND NOT (a.write_enabled AND a.delete_enabled) LIMIT 1",
        )
        .bind(self.repository_id)
        .fetch_optional(&mut *connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        if let Some(row) = row {
            let object = Lockable::Manifest(self.repository.clone(), parsed(&row, "digest")?);
            let flag = closed(&row)?.unwrap_or(Flag::Delete);
            return Ok(Some(Refusal::Locked { object, flag }));
        }
        // Patterns are not the database's, so every tag is looked at where there are any.
        let condition = if self.immutable.is_empty() {
            "AND NOT (write_enabled AND delete_enabled) LIMIT 1"
        } else {
            ""
        };
        let sql = format!(
            "SELECT name, write_enabled, delete_enabled FROM tags WHERE repository_id = $1 {condition}"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.repository_id)
            .fetch_all(connection)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        for row in &rows {
            if let Some(refusal) = self.of_tag(row)? {
                return Ok(Some(refusal));
            }
        }
        Ok(None)
    }
}

/// One manifest of a repository that was not put away.
pub(in super::super) async fn find(
    connection: &mut DbConnection,
    repository_id: i64,
    digest: &Digest,
) -> Result<Option<Node>, StoreError> {
    let row = sqlx::query(
        "SELECT id, digest, media_type FROM live_manifests WHERE repository_id = $1 AND digest = $2",
    )
    .bind(repository_id)
    .bind(digest.to_string())
    .fetch_optional(connection)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    row.as_ref().map(node).transpose()
}

/// Manifests that list this one, put away ones not counted.
pub(super) async fn parents(
    connection: &mut DbConnection,
    repository_id: i64,
    digest: &Digest,
) -> Result<Vec<i64>, StoreError> {
    sqlx::query_scalar(
        "SELECT DISTINCT m.id FROM manifest_references c JOIN live_manifests m ON m.id = c.manifest_id \
         WHERE c.digest = $2 AND c.kind = 'child' AND m.repository_id = $1",
    )
    .bind(repository_id)
    .bind(digest.to_string())
    .fetch_all(connection)
    .await
    .map_err(StoreError::database(ATTEMPTED))
}

/// What ties a manifest to one that goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tie {
    /// Listed by it.
    Child,
    /// About it, as subject or by a tag with its digest.
    Attached,
}

/// The manifest and what belongs to it: children that nothing else holds and
/// no tag names, and what is attached to any of these, with its tags. What is
/// locked, or held by something that stays, stays too.
pub(in super::super) async fn graph(
    connection: &mut DbConnection,
    locks: &Locks<'_>,
    root: Node,
) -> Result<Vec<Node>, StoreError> {
    let mut digests = HashSet::from([root.digest]);
    let mut ids = HashSet::from([root.id]);
    let mut going = vec![root];
    let mut waiting: HashMap<i64, (Node, Tie)> = HashMap::new();
    let mut expanded = 0;
    loop {
        while expanded < going.len() {
            let current = going[expanded].clone();
            expanded += 1;
            for (next, tie) in neighbours(connection, locks.repository_id, &current).await? {
                if !ids.contains(&next.id) {
                    let known = waiting.entry(next.id).or_insert((next, tie));
                    // To be attached counts more: then tags of its own do not hold it.
                    if tie == Tie::Attached {
                        known.1 = tie;
                    }
                }
            }
        }
        let before = going.len();
        let mut candidates: Vec<_> = waiting.values().cloned().collect();
        candidates.sort_by_key(|(candidate, _)| candidate.digest);
        for (candidate, tie) in candidates {
            if going.len() >= GRAPH_MANIFESTS_MAX {
                tracing::warn!(repository = %locks.repository, root = %going[0].digest,
                    "a deletion takes {GRAPH_MANIFESTS_MAX} manifests along and leaves the rest");
                return Ok(going);
            }
            if goes_along(connection, locks, &candidate, tie, &ids, &digests).await? {
                waiting.remove(&candidate.id);
                digests.insert(candidate.digest);
                ids.insert(candidate.id);
                going.push(candidate);
            }
        }
        // What stayed may go once its other holders go.
        if going.len() == before {
            return Ok(going);
        }
    }
}

async fn neighbours(
    connection: &mut DbConnection,
    repository_id: i64,
    of: &Node,
) -> Result<Vec<(Node, Tie)>, StoreError> {
    let children = sqlx::query(
        "SELECT DISTINCT m.id, m.digest, m.media_type FROM manifest_references c \
         JOIN live_manifests m ON m.repository_id = $1 AND m.digest = c.digest \
         WHERE c.manifest_id = $2 AND c.kind = 'child'",
    )
    .bind(repository_id)
    .bind(of.id)
    .fetch_all(&mut *connection)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    let referrers = sqlx::query(
        "SELECT id, digest, media_type FROM live_manifests WHERE repository_id = $1 AND subject = $2",
    )
    .bind(repository_id)
    .bind(of.digest.to_string())
    .fetch_all(&mut *connection)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    let tagged = sqlx::query(
        "SELECT m.id, m.digest, m.media_type FROM tags t JOIN manifests m ON m.id = t.manifest_id \
         WHERE t.repository_id = $1 AND t.name IN ($2, $2 || '.sig', $2 || '.att', $2 || '.sbom')",
    )
    .bind(repository_id)
    .bind(of.digest.to_string().replace(':', "-"))
    .fetch_all(connection)
    .await
    .map_err(StoreError::database(ATTEMPTED))?;
    let attached = referrers.iter().chain(&tagged).map(|row| Ok((node(row)?, Tie::Attached)));
    children.iter().map(|row| Ok((node(row)?, Tie::Child))).chain(attached).collect()
}

async fn goes_along(
    connection: &mut DbConnection,
    locks: &Locks<'_>,
    candidate: &Node,
    tie: Tie,
    ids: &HashSet<i64>,
    digests: &HashSet<Digest>,
) -> Result<bool, StoreError> {
    if locks.of_manifest(connection, candidate).await?.is_some() {
        return Ok(false);
    }
    let parents = parents(connection, locks.repository_id, &candidate.digest).await?;
    if parents.iter().any(|parent| !ids.contains(parent)) {
        return Ok(false);
    }
    let row = sqlx::query("SELECT subject FROM manifests WHERE id = $1")
        .bind(candidate.id)
        .fetch_one(&mut *connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
    let subject: Option<Digest> = super::super::row::parsed_option(&row, "subject")?;
    if let Some(subject) = subject {
        if digests.contains(&subject) {
            return Ok(true);
        }
        if find(connection, locks.repository_id, &subject).await?.is_some() {
            return Ok(false);
        }
    }
    let names: Vec<String> = sqlx::query_scalar("SELECT name FROM tags WHERE manifest_id = $1")
        .bind(candidate.id)
        .fetch_all(connection)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
    let about = |name: &String| Tag::parse(name).ok().as_ref().and_then(attached_to);
    let held = names.iter().any(|name| about(name).is_none_or(|about| !digests.contains(&about)));
    Ok(!held && (tie == Tie::Child || !names.is_empty()))
}

/// Takes these away, with their tags.
pub(in super::super) async fn take_away(
    connection: &mut DbConnection,
    nodes: Vec<Node>,
    rules: &DeleteRules,
    deletion: &str,
) -> Result<Vec<DeletedEntry>, StoreError> {
    let mut gone = Vec::with_capacity(nodes.len());
    for node in nodes {
        if rules.mode == DeleteMode::PutAway {
            sqlx::query(
                "INSERT INTO deleted_manifests (manifest_id, deletion, deleted_at, deleted_by) \
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(node.id)
            .bind(deletion)
            .bind(millis(rules.at))
            .bind(&rules.by)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
            sqlx::query(
                "INSERT INTO deleted_tags (manifest_id, name, created_at, updated_at) \
                 SELECT manifest_id, name, created_at, updated_at FROM tags WHERE manifest_id = $1",
            )
            .bind(node.id)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        }
        let rows = sqlx::query("DELETE FROM tags WHERE manifest_id = $1 RETURNING name")
            .bind(node.id)
            .fetch_all(&mut *connection)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        let mut tags =
            rows.iter().map(|row| parsed(row, "name")).collect::<Result<Vec<Tag>, _>>()?;
        tags.sort_unstable();
        if rules.mode != DeleteMode::PutAway {
            sqlx::query("DELETE FROM manifests WHERE id = $1")
                .bind(node.id)
                .execute(&mut *connection)
                .await
                .map_err(StoreError::database(ATTEMPTED))?;
        }
        gone.push(DeletedEntry { digest: node.digest, media_type: node.media_type, tags });
    }
    Ok(gone)
}
