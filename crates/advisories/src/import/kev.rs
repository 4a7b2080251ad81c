//! CISA's catalogue of known exploited vulnerabilities.

use serde::Deserialize;

use super::{ImportReport, Parsed, seconds};
use crate::record::{ID_BYTES_MAX, TITLE_BYTES_MAX, cut, is_cve};
use crate::segment::{Content, Exploited};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Catalogue {
    date_released: Option<String>,
    vulnerabilities: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(rename = "cveID")]
    cve_id: String,
    vulnerability_name: Option<String>,
    date_added: Option<String>,
    due_date: Option<String>,
    known_ransomware_campaign_use: Option<String>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, String> {
    let catalogue: Catalogue =
        serde_json::from_slice(bytes).map_err(|e| format!("not the catalogue's JSON: {e}"))?;
    let mut report = ImportReport::default();
    let mut entries = Vec::with_capacity(catalogue.vulnerabilities.len());
    for entry in catalogue.vulnerabilities {
        let cve = entry.cve_id.trim();
        if !is_cve(cve) {
            report.skip("entry without a CVE id");
            continue;
        }
        let exploited = Exploited {
            date_added: cut(&entry.date_added.unwrap_or_default(), ID_BYTES_MAX).to_owned(),
            due_date: entry
                .due_date
                .filter(|d| !d.is_empty())
                .map(|d| cut(&d, ID_BYTES_MAX).to_owned()),
            ransomware: entry
                .known_ransomware_campaign_use
                .is_some_and(|w| w.eq_ignore_ascii_case("known")),
            name: cut(entry.vulnerability_name.unwrap_or_default().trim(), TITLE_BYTES_MAX)
                .to_owned(),
        };
        entries.push((cve.to_owned(), exploited));
    }
    let data_date = catalogue.date_released.as_deref().and_then(seconds);
    Ok(Parsed { source: "kev".into(), data_date, content: Content::Exploited(entries), report })
}
