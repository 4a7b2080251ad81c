// All that is known of one finding, docked beside the table.
import { Button } from '@fluentui/react-components';
import { Dismiss20Regular } from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { FindingDetail, Schemas } from '../../api/client';
import { findingQuery, type ImageKey } from '../../api/queries';
import { Command, CopyButton } from '../../components/Copy';
import { Inert } from '../../components/Inert';
import { ImageLink, RepositoryLink } from '../../components/links';
import { SeverityLabel } from '../../components/Severity';
import { Empty, Failure, Loading, isNotFound } from '../../components/states';
import { Age, Day, Moment, NotGiven, OutsideLink } from '../../components/values';
import { cvssMetrics } from '../../format/cvss';
import { shortDigest } from '../../format/names';
import { formatScore, formatShare } from '../../format/values';
import { PaneEdge, paneWidth } from './PaneEdge';

interface FindingPaneProps {
  imageKey: ImageKey;
  id: string;
  onClose(): void;
}

export default function FindingPane({ imageKey, id, onClose }: FindingPaneProps) {
  const { t } = useTranslation();
  const [width, setWidth] = useState(paneWidth);
  const { data, error, refetch } = useQuery(findingQuery(imageKey, id));
  return (
    <>
      <PaneEdge width={width} onResize={setWidth} />
      <aside className="pane" aria-label={t('pane.title')} style={{ width }}>
        <div className="pane-top">
          <h2>{data ? <Inert text={data.title} /> : t('pane.title')}</h2>
          <Button
            appearance="subtle"
            size="small"
            icon={<Dismiss20Regular />}
            aria-label={t('pane.close')}
            onClick={onClose}
          />
        </div>
        {isNotFound(error) ? (
          <Empty title={t('pane.gone')} />
        ) : (
          error && <Failure error={error} retry={() => void refetch()} />
        )}
        {!data && !error && <Loading lines={12} />}
        {data && <Fields finding={data} />}
      </aside>
    </>
  );
}

function Fields({ finding }: { finding: FindingDetail }) {
  const { t } = useTranslation();
  return (
    <div className="pane-body">
      <Identity finding={finding} />
      <Names finding={finding} />
      <Scores finding={finding} />
      <Dates finding={finding} />
      <Check finding={finding} />
      {(finding.description || finding.impact) && (
        <Section title={t('pane.description')}>
          <div lang={finding.textLanguage ?? undefined} className="prose">
            {finding.description && <p><Lines text={finding.description} /></p>}
            {finding.impact && (
              <p>
                <strong lang={undefined}>{t('pane.impact')}:</strong> <Lines text={finding.impact} />
              </p>
            )}
          </div>
        </Section>
      )}
      <Packages packages={finding.packages} />
      <WhatToDo remediation={finding.remediation} />
      <References references={finding.references} />
      <OtherImages images={finding.otherImages} />
      <History events={finding.history} />
    </div>
  );
}

/** Advisory text is plain: line breaks are kept, all else is inert. */
function Lines({ text }: { text: string }) {
  return text.split(/\r?\n/).map((line, index) => (
    <span key={index}>
      {index > 0 && <br />}
      <Inert text={line} />
    </span>
  ));
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="pane-section">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Identity({ finding }: { finding: FindingDetail }) {
  const { t } = useTranslation();
  return (
    <dl className="pairs">
      <Row name={t('finding.severity')}>
        <SeverityLabel severity={finding.severity} />
        <div className="muted"><Inert text={finding.severityReason} /></div>
      </Row>
      <Row name={t('finding.id')}>
        <code>{finding.id}</code>
        <CopyButton text={finding.id} what={finding.id} />
      </Row>
      <Row name={t('finding.status')}>{t(`findingStatus.${finding.status}`)}</Row>
      <Row name={t('pane.link')}>
        <span className="muted">{t('pane.linkHint')}</span>
        <CopyButton text={location.href} what={t('pane.link')} />
      </Row>
    </dl>
  );
}

function Names({ finding }: { finding: FindingDetail }) {
  const { t, i18n } = useTranslation();
  const list = (names: Schemas['Alias'][]) =>
    names.length === 0 ? (
      <NotGiven />
    ) : (
      <span className="inline-list">
        {names.map((name) => (
          <OutsideLink key={name.id} href={name.url} text={name.id} />
        ))}
      </span>
    );
  return (
    <Section title={t('pane.names')}>
      <dl className="pairs">
        <Row name={t('finding.cves')}>{list(finding.cves)}</Row>
        {finding.aliases.length > 0 && <Row name={t('pane.aliases')}>{list(finding.aliases)}</Row>}
        <Row name={t('finding.kevLong')}>
          {finding.kev ? (
            <>
              <span className="kev">{t('finding.kev')}</span> {t('pane.kevAdded')}: <Day at={finding.kev.addedAt} />
              {finding.kev.dueAt && (
                <>
                  , {t('pane.kevDue')}: <Day at={finding.kev.dueAt} />
                </>
              )}
              {finding.kev.ransomware && <div>{t('pane.ransomware')}</div>}
            </>
          ) : (
            t('value.no')
          )}
        </Row>
        <Row name="EPSS">
          {finding.epss ? (
            <>
              {formatShare(finding.epss.score, i18n.language)} ({t('pane.percentile')}{' '}
              {formatShare(finding.epss.percentile, i18n.language)}
              {finding.epss.date && (
                <>
                  , <Day at={finding.epss.date} />
                </>
              )}
              )
            </>
          ) : (
            <NotGiven />
          )}
        </Row>
      </dl>
    </Section>
  );
}

function Scores({ finding }: { finding: FindingDetail }) {
  const { t, i18n } = useTranslation();
  return (
    <Section title="CVSS">
      {finding.cvss.length === 0 && <NotGiven />}
      {finding.cvss.map((score) => {
        const metrics = cvssMetrics(score.vector);
        return (
          <div key={score.version + score.vector + (score.source ?? '')} className="cvss">
            <p>
              <strong>{formatScore(score.score, i18n.language)}</strong> CVSS <Inert text={score.version} />
              {score.source && (
                <span className="muted">
                  {' '}
                  {t('pane.source')}: <Inert text={score.source} />
                </span>
              )}
            </p>
            <code className="break"><Inert text={score.vector} /></code>
            {metrics.length > 0 && (
              <p className="muted">
                {metrics.map(({ metric, word }) => `${t(`cvss.${metric}`)}: ${t(`cvssWord.${word}`)}`).join('; ')}
              </p>
            )}
          </div>
        );
      })}
    </Section>
  );
}

function Dates({ finding }: { finding: FindingDetail }) {
  const { t } = useTranslation();
  const { advisory } = finding;
  return (
    <Section title={t('pane.advisory')}>
      <dl className="pairs">
        <Row name={t('pane.advisory')}>
          <OutsideLink href={advisory.url} text={advisory.id} />
        </Row>
        <Row name={t('pane.source')}>
          <Inert text={advisory.feed} /> (<Moment at={advisory.dataDate} />)
          {advisory.snapshot && (
            <div className="muted">
              {t('pane.snapshot')}: <code className="break"><Inert text={advisory.snapshot} /></code>
            </div>
          )}
        </Row>
        <Row name={t('column.publishedAt')}><Day at={finding.publishedAt} /></Row>
        <Row name={t('pane.modified')}><Day at={finding.modifiedAt} /></Row>
        <Row name={t('finding.firstSeen')}><Age at={finding.firstSeenAt} /></Row>
      </dl>
    </Section>
  );
}

function Check({ finding }: { finding: FindingDetail }) {
  const { t } = useTranslation();
  return (
    <Section title={t('pane.check')}>
      <dl className="pairs">
        <Row name={t('column.category')}><Inert text={finding.category} /></Row>
        <Row name={t('pane.type')}><Inert text={finding.type} /></Row>
        <Row name={t('column.patchable')}>{finding.patchable ? t('value.yes') : t('value.no')}</Row>
        <Row name={t('column.fixed')}>
          {finding.fixedVersions.length > 0 ? <Inert text={finding.fixedVersions.join(', ')} /> : t('finding.noFix')}
        </Row>
      </dl>
    </Section>
  );
}

function Packages({ packages }: { packages: Schemas['AffectedPackage'][] }) {
  const { t } = useTranslation();
  return (
    <Section title={t('pane.packages')}>
      {packages.map((item) => (
        <div key={`${item.purl} ${item.path ?? ''}`} className="package-card">
          <p className="package-name">
            <strong><Inert text={item.name} /></strong> <Inert text={item.installed} />
            {' → '}
            {item.fixed ? <Inert text={item.fixed} /> : t('finding.noFix')}
            <span className="chip">{item.type}</span>
          </p>
          <dl className="pairs">
            <Row name="purl">
              <code className="break"><Inert text={item.purl} /></code>
              <CopyButton text={item.purl} what={item.purl} />
            </Row>
            <Row name={t('pane.file')}>
              {item.path ? <code className="break"><Inert text={item.path} /></code> : <NotGiven />}
            </Row>
            <Row name={t('pane.layer')}>
              {item.layer ? (
                <>
                  {item.layer.index + 1} (<code title={item.layer.digest}>{shortDigest(item.layer.digest)}</code>)
                  {item.layer.createdBy && (
                    <code className="block break"><Inert text={item.layer.createdBy} /></code>
                  )}
                </>
              ) : (
                <NotGiven />
              )}
            </Row>
            <Row name={t('pane.evidence')}>
              <Inert text={item.evidence.rule} />
              <code className="block break">
                <Inert text={item.evidence.installed} /> : <Inert text={item.evidence.comparedWith} />
              </code>
              <span className="muted">
                <Inert text={item.evidence.feed} />, <Inert text={item.evidence.advisory} />
              </span>
            </Row>
          </dl>
        </div>
      ))}
    </Section>
  );
}

function WhatToDo({ remediation }: { remediation: Schemas['Remediation'] }) {
  const { t } = useTranslation();
  return (
    <Section title={t('pane.remediation')}>
      {remediation.steps.length === 0 && <p className="muted">{t('pane.noSteps')}</p>}
      <ol className="steps">
        {remediation.steps.map((step, index) => (
          <li key={index}><Inert text={step} /></li>
        ))}
      </ol>
      {remediation.dockerfile && <Command label="Dockerfile" text={remediation.dockerfile} />}
    </Section>
  );
}

function References({ references }: { references: Schemas['Reference'][] }) {
  const { t } = useTranslation();
  return (
    <Section title={t('pane.references')}>
      {references.length === 0 ? (
        <NotGiven />
      ) : (
        <ul className="link-list">
          {references.map((reference) => (
            <li key={reference.url}><OutsideLink href={reference.url} text={reference.title} /></li>
          ))}
        </ul>
      )}
    </Section>
  );
}

function OtherImages({ images }: { images: Schemas['ImageRef'][] }) {
  const { t } = useTranslation();
  return (
    <Section title={t('pane.otherImages')}>
      {images.length === 0 ? (
        <p className="muted">{t('pane.noOther')}</p>
      ) : (
        <ul className="link-list">
          {images.map((image) => (
            <li key={image.registry + image.repository + image.digest}>
              <RepositoryLink registry={image.registry} repository={image.repository} />{' '}
              <ImageLink {...image}>
                {image.tags.length > 0 ? <Inert text={image.tags.join(', ')} /> : undefined}
              </ImageLink>
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

function History({ events }: { events: Schemas['FindingEvent'][] }) {
  const { t } = useTranslation();
  return (
    <Section title={t('pane.history')}>
      <ul className="history">
        {events.map((event, index) => (
          <li key={index}>
            <Moment at={event.at} />: {t(`historyWhat.${event.what}`)}, {t(`historyCause.${event.cause.kind}`)}
            {event.cause.detail && (
              <>
                {' '}
                <Inert text={event.cause.detail} />
              </>
            )}
          </li>
        ))}
      </ul>
    </Section>
  );
}
