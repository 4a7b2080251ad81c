//! `store::CatalogStore`.

use async_trait::async_trait;
use oci::media_type::{self, OCI_LAYER, OCI_LAYER_NONDISTRIBUTABLE};
use oci::{Digest, Manifest, RepositoryName, Tag};

use store::StoreError;
use store::catalog::{
    CatalogManifest, CatalogStore, IndexChild, LayerEntry, Place, RegistrySummary, RepositoryPage,
    RepositorySummary,
};
use store::scan::Millis;

use super::row::{json, number, parsed, parsed_option, signed, text, value};
use super::{DbRow, Store, dialect};

const REPOSITORY: &str = "r.name, (SELECT COUNT(*) FROM tags t WHERE t.repository_id = r.id) AS tags, \
     (SELECT MAX(m.pushed_at) FROM live_manifests m WHERE m.repository_id = r.id) AS last_push_at, \
     (SELECT CAST(COALESCE(SUM(b.size), 0) AS BIGINT) FROM repository_blobs rb JOIN blobs b ON b.digest = rb.digest \
      WHERE rb.repository_id = r.id) AS size";

/// Columns that [`manifest`] reads; $2 to $5 are the media types of indexes and
/// the beginnings of those of file system layers. Bytes are read of indexes only.
fn manifest_columns() -> String {
    let tags = dialect::json_array("t.name");
    format!(
        "m.digest, m.media_type, m.artifact_type, m.subject, m.pushed_at, m.pushed_by, \
     (SELECT {tags} FROM tags t WHERE t.manifest_id = m.id) AS tags, \
     (SELECT c.media_type FROM manifest_references c WHERE c.manifest_id = m.id AND c.kind = 'config') AS config, \
     (SELECT COUNT(*) FROM manifest_references l WHERE l.manifest_id = m.id AND l.kind = 'layer') AS layers, \
     (SELECT COUNT(*) FROM manifest_references l WHERE l.manifest_id = m.id AND l.kind = 'layer' \
      AND (substr(l.media_type, 1, length($4)) = $4 OR substr(l.media_type, 1, length($5)) = $5 \
       OR substr(l.media_type, 1, length($6)) = $6)) AS file_system_layers, \
     (SELECT CAST(COALESCE(SUM(CASE WHEN b.size > {SIZE_CLAIM_MAX} THEN {SIZE_CLAIM_MAX} ELSE b.size END), 0) AS BIGINT) \
      FROM manifest_references b WHERE b.manifest_id = m.id AND b.kind IN ('config', 'layer')) AS content_size, \
     CASE WHEN m.media_type IN ($2, $3) THEN m.bytes END AS bytes"
    )
}

/// A manifest can claim any size of what it refers to, and a manifest's claims
/// are summed up: 2^47 bytes each, of which a BIGINT holds more than a manifest
/// of 4 MiB can list.
const SIZE_CLAIM_MAX: i64 = 1 << 47;

/// What the media types of Docker's file system layers begin with.
const DOCKER_LAYERS: &str = "application/vnd.docker.image.rootfs.";

fn tags(row: &DbRow) -> Result<Vec<Tag>, StoreError> {
    let mut tags: Vec<Tag> = json(row, "tags")?;
    tags.sort_unstable();
    Ok(tags)
}

fn repository(row: &DbRow) -> Result<RepositorySummary, StoreError> {
    Ok(RepositorySummary {
        name: parsed(row, "name")?,
        tags: number(row, "tags")?,
        last_push_at: value(row, "last_push_at")?,
        size: number(row, "size")?,
    })
}

fn manifest(row: &DbRow) -> Result<CatalogManifest, StoreError> {
    let media_type: String = value(row, "media_type")?;
    let bytes: Option<Vec<u8>> = value(row, "bytes")?;
    Ok(CatalogManifest {
        digest: parsed(row, "digest")?,
        children: bytes.map_or_else(Vec::new, |bytes| children(&bytes, &media_type)),
        media_type,
        artifact_type: value(row, "artifact_type")?,
        subject: parsed_option(row, "subject")?,
        tags: tags(row)?,
        pushed_at: value(row, "pushed_at")?,
        pushed_by: value(row, "pushed_by")?,
        config_media_type: value(row, "config")?,
        layers: number(row, "layers")?,
        file_system_layers: number(row, "file_system_layers")?,
        content_size: number(row, "content_size")?,
    })
}

/// Children in the index's order, each once. Bytes were read when they were
/// accepted; an index that cannot be read again lists nothing.
fn children(bytes: &[u8], media_type: &str) -> Vec<IndexChild> {
    let Ok(Manifest::Index(index)) = Manifest::parse(bytes, Some(media_type)) else {
        return Vec::new();
    };
    let mut seen = std::collections::HashSet::new();
    let once = index.manifests.into_iter().filter(|child| seen.insert(child.digest));
    once.map(|child| IndexChild {
        digest: child.digest,
        media_type: child.media_type,
        platform: child.platform,
    })
    .collect()
}

/// Text that is to be found as it is, whatever it means to LIKE. Names of
/// repositories have no capital letters, so what is looked for has none either.
fn pattern(contains: Option<&str>) -> String {
    let mut pattern = String::from("%");
    for c in text(contains.unwrap_or_default()).to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

impl Store {
    async fn select_manifests(
        &self,
        repository: &RepositoryName,
        digest: Option<&Digest>,
    ) -> Result<Vec<CatalogManifest>, StoreError> {
        let query = format!(
            "SELECT {} FROM live_manifests m JOIN repositories r ON r.id = m.repository_id \
             WHERE r.name = $1 AND ($7 IS NULL OR m.digest = $7) ORDER BY m.pushed_at DESC, m.id DESC",
            manifest_columns()
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(repository.as_str())
            .bind(media_type::OCI_INDEX)
            .bind(media_type::DOCKER_LIST)
            .bind(OCI_LAYER)
            .bind(OCI_LAYER_NONDISTRIBUTABLE)
            .bind(DOCKER_LAYERS)
            .bind(digest.map(ToString::to_string))
            .fetch_all(self.read())
            .await
            .map_err(StoreError::database("list the manifests of a repository"))?;
        rows.iter().map(manifest).collect()
    }
}

#[async_trait]
impl CatalogStore for Store {
    async fn registry_summary(&self) -> Result<RegistrySummary, StoreError> {
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM repositories WHERE deleted_at IS NULL) AS repositories, MAX(pushed_at) AS last_push_at FROM live_manifests",
        )
        .fetch_one(self.read())
        .await
        .map_err(StoreError::database("sum up the registry"))?;
        Ok(RegistrySummary {
            repositories: number(&row, "repositories")?,
            last_push_at: value(&row, "last_push_at")?,
        })
    }

    async fn repository_page(
        &self,
        contains: Option<&str>,
        offset: u64,
        limit: u32,
    ) -> Result<RepositoryPage, StoreError> {
        const ATTEMPTED: &str = "list repositories";
        let pattern = pattern(contains);
        let mut tx = self.read_moment().await?;
        let total: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM repositories r WHERE r.deleted_at IS NULL AND r.name LIKE $1 ESCAPE '\\'",
        )
        .bind(&pattern)
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::database(ATTEMPTED))?;
        let query = format!(
            "SELECT {REPOSITORY} FROM repositories r WHERE r.deleted_at IS NULL AND r.name LIKE $1 ESCAPE '\\' \
             ORDER BY r.name LIMIT $2 OFFSET $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(&pattern)
            .bind(i64::from(limit))
            .bind(signed(offset))
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database(ATTEMPTED))?;
        let entries = rows.iter().map(repository).collect::<Result<_, _>>()?;
        Ok(RepositoryPage { total: total.unsigned_abs(), entries })
    }

    async fn repository_summary(
        &self,
        name: &RepositoryName,
    ) -> Result<Option<RepositorySummary>, StoreError> {
        let query = format!(
            "SELECT {REPOSITORY} FROM repositories r WHERE r.deleted_at IS NULL AND r.name = $1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(name.as_str())
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::database("read a repository"))?;
        row.as_ref().map(repository).transpose()
    }

    async fn catalog_manifests(
        &self,
        repository: &RepositoryName,
    ) -> Result<Vec<CatalogManifest>, StoreError> {
        self.select_manifests(repository, None).await
    }

    async fn catalog_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<CatalogManifest>, StoreError> {
        Ok(self.select_manifests(repository, Some(digest)).await?.pop())
    }

    async fn manifest_layers(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<LayerEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT l.digest, l.media_type, l.size FROM manifest_references l \
             JOIN live_manifests m ON m.id = l.manifest_id JOIN repositories r ON r.id = m.repository_id \
             WHERE r.name = $1 AND m.digest = $2 AND l.kind = 'layer' ORDER BY l.position",
        )
        .bind(repository.as_str())
        .bind(digest.to_string())
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list the layers of a manifest"))?;
        let layer = |row: &DbRow| {
            Ok(LayerEntry {
                digest: parsed(row, "digest")?,
                media_type: value(row, "media_type")?,
                size: number(row, "size")?,
            })
        };
        rows.iter().map(layer).collect()
    }

    async fn manifest_config(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Digest>, StoreError> {
        let row = sqlx::query(
            "SELECT c.digest FROM manifest_references c JOIN live_manifests m ON m.id = c.manifest_id \
             JOIN repositories r ON r.id = m.repository_id \
             WHERE r.name = $1 AND m.digest = $2 AND c.kind = 'config'",
        )
        .bind(repository.as_str())
        .bind(digest.to_string())
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::database("find the configuration of a manifest"))?;
        row.as_ref().map(|row| parsed(row, "digest")).transpose()
    }

    async fn places(&self, digest: &Digest) -> Result<Vec<Place>, StoreError> {
        let rows = sqlx::query(
            sqlx::AssertSqlSafe(format!("SELECT r.name, (SELECT {} FROM tags t WHERE t.manifest_id = m.id) AS tags \
             FROM live_manifests m JOIN repositories r ON r.id = m.repository_id WHERE m.digest = $1 ORDER BY r.name", dialect::json_array("t.name"))),
        )
        .bind(digest.to_string())
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("find where a manifest is held"))?;
        rows.iter()
            .map(|row| Ok(Place { repository: parsed(row, "name")?, tags: tags(row)? }))
            .collect()
    }

    async fn inspected_images(
        &self,
        after: Option<(&str, &str)>,
        limit: u32,
    ) -> Result<Vec<(RepositoryName, Digest)>, StoreError> {
        let (repository, digest) = after.unwrap_or_default();
        let rows = sqlx::query(
            "SELECT r.name, m.digest FROM live_manifests m JOIN repositories r ON r.id = m.repository_id \
             JOIN images i ON i.digest = m.digest WHERE (r.name, m.digest) > ($1, $2) \
             ORDER BY r.name, m.digest LIMIT $3",
        )
        .bind(text(repository))
        .bind(text(digest))
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list inspected images"))?;
        rows.iter().map(|row| Ok((parsed(row, "name")?, parsed(row, "digest")?))).collect()
    }

    async fn failed_scans(&self, limit: u32) -> Result<Vec<(RepositoryName, Digest)>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.name, m.digest FROM images i JOIN live_manifests m ON m.digest = i.digest \
             JOIN repositories r ON r.id = m.repository_id WHERE i.scan_state = 'failed' \
             ORDER BY r.name, m.digest LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::database("list failed scans"))?;
        rows.iter().map(|row| Ok((parsed(row, "name")?, parsed(row, "digest")?))).collect()
    }

    async fn last_scan(
        &self,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<Millis>, StoreError> {
        sqlx::query_scalar(
            "SELECT MAX(i.finished_at) FROM images i JOIN live_manifests m ON m.digest = i.digest \
             JOIN repositories r ON r.id = m.repository_id WHERE $1 IS NULL OR r.name = $1",
        )
        .bind(repository.map(RepositoryName::as_str))
        .fetch_one(self.read())
        .await
        .map_err(StoreError::database("find the newest scan"))
    }
}
