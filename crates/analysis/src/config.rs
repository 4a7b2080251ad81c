//! The image configuration: platform, diff_ids, and which instruction made
//! which layer.

use oci::Digest;
use serde_json::Value;

use crate::limits::CONFIG_BYTES_MAX;

/// What is read of an image configuration (OCI image-spec, "Image
/// Configuration"). Tolerant: a field of the wrong type reads as absent and is
/// named in `oddities`, since registries hold many configurations that no
/// validator has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// `os`, such as `linux`.
    pub os: Option<String>,
    /// `architecture`, such as `amd64`.
    pub architecture: Option<String>,
    /// `variant`, such as `v8`.
    pub variant: Option<String>,
    /// `os.version`, which Windows images carry.
    pub os_version: Option<String>,
    /// `created`, as written.
    pub created: Option<String>,
    /// `rootfs.diff_ids`, lowest layer first; `None` where one is no digest.
    pub diff_ids: Vec<Option<Digest>>,
    /// `history`, oldest first.
    pub history: Vec<HistoryEntry>,
    /// `config.Env`.
    pub env: Vec<String>,
    /// `config.Entrypoint`.
    pub entrypoint: Vec<String>,
    /// `config.Cmd`.
    pub cmd: Vec<String>,
    /// `config.User`.
    pub user: Option<String>,
    /// `config.WorkingDir`.
    pub working_dir: Option<String>,
    /// `config.Labels`, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Fields that are there and unusable, in words.
    pub oddities: Vec<String>,
}

/// One step of the image's build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The instruction, as the builder wrote it.
    pub created_by: Option<String>,
    /// What the builder remarked.
    pub comment: Option<String>,
    /// Whether it made no layer.
    pub empty_layer: bool,
}

/// Why a configuration cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ImageConfigError {
    /// Larger than any real configuration.
    #[error("image configuration has {size} bytes, more than the {max} that are read")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Not JSON, or nested too deep.
    #[error("image configuration is not JSON that can be read")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but no object.
    #[error("image configuration is a JSON {0}, not an object")]
    NotAnObject(&'static str),
}

impl ImageConfig {
    /// Reads a configuration blob.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImageConfigError> {
        if bytes.len() > CONFIG_BYTES_MAX {
            return Err(ImageConfigError::TooLarge { size: bytes.len(), max: CONFIG_BYTES_MAX });
        }
        // serde_json stops at 128 levels of nesting with an error.
        let value: Value = serde_json::from_slice(bytes).map_err(ImageConfigError::NotJson)?;
        if !value.is_object() {
            return Err(ImageConfigError::NotAnObject(type_word(&value)));
        }
        let mut oddities = Vec::new();
        let root = Fields { value: &value, path: "", oddities: &mut oddities };
        let mut config = Self::default();
        config.read_root(root);
        config.oddities = oddities;
        Ok(config)
    }

    fn read_root(&mut self, mut root: Fields<'_>) {
        self.os = root.text("os");
        self.architecture = root.text("architecture");
        self.variant = root.text("variant");
        self.os_version = root.text("os.version");
        self.created = root.text("created");
        if let Some(mut rootfs) = root.object("rootfs", "rootfs.") {
            for (i, text) in rootfs.texts("diff_ids").into_iter().enumerate() {
                let digest = Digest::parse(&text).ok();
                if digest.is_none() {
                    rootfs.oddities.push(format!("rootfs.diff_ids[{i}] is not a digest"));
                }
                self.diff_ids.push(digest);
            }
        }
        for step in root.array("history") {
            self.history.push(HistoryEntry {
                created_by: step.get("created_by").and_then(Value::as_str).map(str::to_owned),
                comment: step.get("comment").and_then(Value::as_str).map(str::to_owned),
                empty_layer: step.get("empty_layer").and_then(Value::as_bool).unwrap_or(false),
            });
        }
        if let Some(mut config) = root.object("config", "config.") {
            self.env = config.texts("Env");
            self.entrypoint = config.texts("Entrypoint");
            self.cmd = config.texts("Cmd");
            self.user = config.text("User");
            self.working_dir = config.text("WorkingDir");
            if let Some(labels) = config.object("Labels", "config.Labels.") {
                // serde_json's map is sorted by key.
                let Some(map) = labels.value.as_object() else { return };
                self.labels = map
                    .iter()
                    .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned())))
                    .collect();
            }
        }
    }

    /// The instruction that made the layer, by index into the manifest's
    /// layers: the n-th history entry that made one. `None` where the history
    /// is absent or does not fit the number of layers.
    pub fn instruction(&self, layer: usize) -> Option<&str> {
        let mut steps = self.history.iter().filter(|step| !step.empty_layer);
        if !self.diff_ids.is_empty() && steps.clone().count() != self.diff_ids.len() {
            return None;
        }
        steps.nth(layer)?.created_by.as_deref()
    }
}

/// A JSON object being read field by field, remembering what was odd.
struct Fields<'a> {
    value: &'a Value,
    path: &'static str,
    oddities: &'a mut Vec<String>,
}

impl<'a> Fields<'a> {
    fn odd(&mut self, key: &str, value: &Value) {
        self.oddities.push(format!("{}{key} is a JSON {}", self.path, type_word(value)));
    }

    fn field(&self, key: &str) -> Option<&'a Value> {
        self.value.get(key).filter(|value| !value.is_null())
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let value = self.field(key)?;
        if !value.is_string() {
            self.odd(key, value);
        }
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn array(&mut self, key: &str) -> &'a [Value] {
        let Some(value) = self.field(key) else { return &[] };
        if !value.is_array() {
            self.odd(key, value);
        }
        value.as_array().map_or(&[], Vec::as_slice)
    }

    /// The strings of an array; an element that is none keeps its place as "".
    fn texts(&mut self, key: &str) -> Vec<String> {
        self.array(key).iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
    }

    fn object(&mut self, key: &str, path: &'static str) -> Option<Fields<'_>> {
        let value = self.field(key)?;
        if !value.is_object() {
            self.odd(key, value);
            return None;
        }
        Some(Fields { value, path, oddities: self.oddities })
    }
}

fn type_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, oddities: &[&str]) -> ImageConfig {
        let config = ImageConfig::parse(json.as_bytes()).expect("parses");
        assert_eq!(config.oddities, oddities, "{json}");
        config
    }

    #[test]
    fn reads_platform_history_and_labels() {
        let digest = Digest::sha256(b"x");
        let config = check(
            &format!(
                r#"{{"os":"linux","architecture":"arm64","variant":"v8","os.version":"10.0",
                "rootfs":{{"type":"layers","diff_ids":["{digest}","{digest}"]}},
                "history":[{{"created_by":"A"}},{{"created_by":"ENV","empty_layer":true}},{{"created_by":"B"}}],
                "config":{{"Env":["A=b"],"Labels":{{"k":"v"}}}}}}"#
            ),
            &[],
        );
        assert_eq!(config.diff_ids, [Some(digest), Some(digest)]);
        assert_eq!(config.variant.as_deref(), Some("v8"));
        assert_eq!(config.os_version.as_deref(), Some("10.0"));
        assert_eq!(config.labels, [("k".to_owned(), "v".to_owned())]);
        assert_eq!(
            (config.instruction(0), config.instruction(1), config.instruction(2)),
            (Some("A"), Some("B"), None)
        );
    }

    #[test]
    fn a_history_that_does_not_fit_names_no_instruction() {
        let digest = Digest::sha256(b"x");
        let config = check(
            &format!(
                r#"{{"rootfs":{{"diff_ids":["{digest}"]}},"history":[{{"created_by":"A"}},{{"created_by":"B"}}]}}"#
            ),
            &[],
        );
        assert_eq!(config.instruction(0), None);
    }

    #[test]
    fn wrong_types_are_named_and_read_as_absent() {
        check(
            r#"{"architecture":7,"os":[],"rootfs":{"type":1,"diff_ids":"x"}}"#,
            &[
                "os is a JSON array",
                "architecture is a JSON number",
                "rootfs.diff_ids is a JSON string",
            ],
        );
        check(r#"{"os":null,"config":null,"history":null,"rootfs":null}"#, &[]);
        check(
            r#"{"rootfs":{"diff_ids":["nope",3]}}"#,
            &["rootfs.diff_ids[0] is not a digest", "rootfs.diff_ids[1] is not a digest"],
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(matches!(ImageConfig::parse(b"[]"), Err(ImageConfigError::NotAnObject("array"))));
        assert!(matches!(ImageConfig::parse(b"{"), Err(ImageConfigError::NotJson(_))));
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(matches!(ImageConfig::parse(deep.as_bytes()), Err(ImageConfigError::NotJson(_))));
    }
}
