// Severity is always shape, word and colour together.
import { memo, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Severity, SeverityCounts } from '../api/client';
import { formatCount } from '../format/values';

export const SEVERITIES = ['critical', 'high', 'medium', 'low', 'unscored'] as const satisfies readonly Severity[];

const SHAPES: Record<Severity, ReactNode> = {
  critical: <path d="M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 11.3V4.7z" />,
  high: <path d="M8 1l8 14H0z" />,
  medium: <path d="M8 0l8 8-8 8-8-8z" />,
  low: <circle cx="8" cy="8" r="6.5" />,
  unscored: <circle cx="8" cy="8" r="6" fill="none" stroke="currentColor" strokeWidth="2" />,
};

export function SeverityIcon({ severity }: { severity: Severity }) {
  return (
    <svg className={`severity-icon severity-${severity}`} viewBox="0 0 16 16" aria-hidden="true">
      {SHAPES[severity]}
    </svg>
  );
}

export const SeverityLabel = memo(function SeverityLabel({ severity }: { severity: Severity }) {
  const { t } = useTranslation();
  return (
    <span className="severity">
      <SeverityIcon severity={severity} />
      {t(`severity.${severity}`)}
    </span>
  );
});

export const severityTotal = (counts: SeverityCounts) =>
  SEVERITIES.reduce((sum, severity) => sum + counts[severity], 0);

interface CountsProps {
  counts: SeverityCounts;
  /** Wraps a count in the link to its rows. */
  link?: (severity: Severity, children: ReactNode, label: string) => ReactNode;
}

/** Counts by severity; those at zero are left out, none at all reads as zero. */
export function SeverityCountsView({ counts, link }: CountsProps) {
  const { t, i18n } = useTranslation();
  const present = SEVERITIES.filter((severity) => counts[severity] > 0);
  if (present.length === 0) return <span className="muted">{formatCount(0, i18n.language)}</span>;
  return (
    <span className="severity-counts">
      {present.map((severity) => {
        const label = `${formatCount(counts[severity], i18n.language)} ${t(`severity.${severity}`)}`;
        const content = (
          <>
            <SeverityIcon severity={severity} />
            {formatCount(counts[severity], i18n.language)}
          </>
        );
        return (
          <span key={severity} className="severity-count" title={label}>
            {link ? link(severity, content, label) : <><span aria-hidden="true">{content}</span><span className="sr-only">{label}</span></>}
          </span>
        );
      })}
    </span>
  );
}

/** The same as one bar; numbers stand beside it, so it is hidden from readers. */
export function SeverityBar({ counts }: { counts: SeverityCounts }) {
  const total = severityTotal(counts);
  return (
    <div className="severity-bar" aria-hidden="true">
      {SEVERITIES.map((severity) =>
        counts[severity] > 0 ? (
          <span
            key={severity}
            className={`severity-fill severity-${severity}`}
            style={{ flexGrow: counts[severity] / total }}
          />
        ) : null,
      )}
    </div>
  );
}
