"""Reads sub-assessments with Microsoft's client: azure_sdk.py URL SUBSCRIPTION TOKEN DIGEST.

Works with azure-mgmt-security 1.0.0 (2021) and 7.0.0. The client refuses plain
HTTP unless each call says otherwise.
"""
import inspect
import sys

from azure.core.credentials import AccessToken
from azure.mgmt.security import SecurityCenter

url, subscription, token, digest = sys.argv[1:]
KEY = "dbd0cb49-b563-45e7-9724-889e799fa648"


class Fixed:
    def get_token(self, *scopes, **kwargs):
        return AccessToken(token, 4102444800)


def client():
    common = dict(base_url=url, credential_scopes=[url + "/.default"])
    # The client of 2021 wants a location, which no call of ours uses.
    if "asc_location" in inspect.signature(SecurityCenter.__init__).parameters:
        common["asc_location"] = "local"
    return SecurityCenter(Fixed(), subscription, **common)


center = client()
plain = dict(enforce_https=False)
scope = f"subscriptions/{subscription}"
rows = list(center.sub_assessments.list_all(scope, **plain))
assert len(rows) == 600, len(rows)
assert len({row.name for row in rows}) == 600
first = rows[0]
data = first.additional_data
assert data.assessed_resource_type == "ContainerRegistryVulnerability", data
assert type(data).__name__ == "ContainerRegistryVulnerabilityProperties", type(data)
assert data.image_digest == digest and data.repository_name == "demo/web" and data.patchable is True
assert first.status.code == "Unhealthy" and first.status.severity == "High", first.status
assert data.cve[0].title.startswith("CVE-"), data.cve
registry = f"/{scope}/resourceGroups/default/providers/Microsoft.ContainerRegistry/registries/main"
assert len(list(center.sub_assessments.list(registry, KEY, **plain))) == 600
one = center.sub_assessments.get(registry, KEY, first.name, **plain)
assert one.id_properties_id == first.id_properties_id and one.id == first.id
print(f"{len(rows)} rows, {type(data).__name__}, first {one.id_properties_id} {one.display_name}")
