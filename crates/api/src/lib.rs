//! HTTP only: distribution, azure, portal.
