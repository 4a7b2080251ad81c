//! Principals, roles, scopes -> permit or denial.
