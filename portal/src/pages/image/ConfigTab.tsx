import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { ImageDetail } from '../../api/client';
import { Command } from '../../components/Copy';
import { Inert } from '../../components/Inert';
import { Moment, NotGiven } from '../../components/values';

export default function ConfigTab({ image }: { image: ImageDetail }) {
  const { t } = useTranslation();
  const { config } = image;
  return (
    <div className="config">
      <section>
        <h2>{t('config.pull')}</h2>
        {image.pullCommands.map((pull) => (
          <Command key={pull.client + pull.command} label={pull.client} text={pull.command} />
        ))}
      </section>
      <section>
        <h2>{t('config.manifest')}</h2>
        <dl className="pairs">
          <Row name={t('image.digest')}><code className="break">{image.digest}</code></Row>
          <Row name={t('layer.mediaType')}><Inert text={image.mediaType} /></Row>
        </dl>
      </section>
      {config && (
        <section>
          <h2>{t('config.config')}</h2>
          <dl className="pairs">
            <Row name={t('config.created')}><Moment at={config.created} /></Row>
            <Row name={t('config.author')}><Text text={config.author} /></Row>
            <Row name={t('config.user')}><Text text={config.user} /></Row>
            <Row name={t('config.workingDir')}><Text text={config.workingDir} /></Row>
            <Row name={t('config.entrypoint')}><Text text={config.entrypoint.length > 0 ? JSON.stringify(config.entrypoint) : null} /></Row>
            <Row name={t('config.cmd')}><Text text={config.cmd.length > 0 ? JSON.stringify(config.cmd) : null} /></Row>
          </dl>
          <h3>{t('config.env')}</h3>
          <p className="muted">{t('config.masked')}</p>
          <dl className="pairs">
            {config.env.map((variable, index) => (
              <Row key={index} name={<Inert text={variable.name} />}>
                {typeof variable.value === 'string' ? (
                  <code className="break"><Inert text={variable.value} /></code>
                ) : (
                  <span className="muted" aria-label={t('config.hidden')}>••••••</span>
                )}
              </Row>
            ))}
          </dl>
          <h3>{t('config.labels')}</h3>
          {config.labels.length === 0 && <NotGiven />}
          <dl className="pairs">
            {config.labels.map((label) => (
              <Row key={label.name} name={<Inert text={label.name} />}>
                <span className="break"><Inert text={label.value} /></span>
              </Row>
            ))}
          </dl>
        </section>
      )}
    </div>
  );
}

function Row({ name, children }: { name: ReactNode; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const Text = ({ text }: { text: string | null | undefined }) =>
  text ? <code className="break"><Inert text={text} /></code> : <NotGiven />;
